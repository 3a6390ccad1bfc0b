//! NEON.

use std::arch::aarch64::*;

use super::{LANES, Lanes};

/// Four registers of four lanes; every processor of this architecture has them.
#[derive(Clone, Copy)]
pub(super) struct Neon([float32x4_t; 4]);

impl Neon {
    #[inline(always)]
    fn each(self, other: Self, f: impl Fn(float32x4_t, float32x4_t) -> float32x4_t) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

// SAFETY, for every block: the instructions belong to the architecture; pointers are the caller's promise.
#[allow(clippy::undocumented_unsafe_blocks, unused_unsafe)]
impl Lanes for Neon {
    const WIDE: bool = false;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        unsafe { Self([vdupq_n_f32(value); 4]) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { Self(std::array::from_fn(|i| vld1q_f32(from.add(i * LANES / 4)))) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        for (i, part) in self.0.into_iter().enumerate() {
            unsafe { vst1q_f32(to.add(i * LANES / 4), part) }
        }
    }
    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        unsafe { Self(std::array::from_fn(|i| vfmaq_f32(self.0[i], a.0[i], b.0[i]))) }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.each(other, |a, b| unsafe { vaddq_f32(a, b) })
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.each(other, |a, b| unsafe { vsubq_f32(a, b) })
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.each(other, |a, b| unsafe { vmulq_f32(a, b) })
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.each(other, |a, b| unsafe { vdivq_f32(a, b) })
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.each(other, |a, b| unsafe { vmaxq_f32(a, b) })
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.each(other, |a, b| unsafe { vminq_f32(a, b) })
    }
    #[inline(always)]
    fn where_positive(self, test: Self) -> Self {
        self.each(test, |value, test| unsafe {
            let saved = vandq_u32(vreinterpretq_u32_f32(value), vcgtzq_f32(test));
            vreinterpretq_f32_u32(saved)
        })
    }
    #[inline(always)]
    fn round(self) -> Self {
        unsafe { Self(self.0.map(|x| vrndnq_f32(x))) }
    }
    #[inline(always)]
    fn exp2_whole(self) -> Self {
        unsafe {
            Self(self.0.map(|x| {
                let exponent = vaddq_s32(vcvtq_s32_f32(x), vdupq_n_s32(127));
                vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent))
            }))
        }
    }
}
