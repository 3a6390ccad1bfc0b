//! NEON.

// Compilers differ in which of these intrinsics are safe to call on this architecture.
#![allow(unused_unsafe)]

use std::arch::aarch64::*;

use super::{F32x16, LANES, Simd};

/// The token of NEON, which every processor of this architecture has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Neon(());

impl Neon {
    /// Returns the token.
    pub(super) fn new() -> Self {
        Self(())
    }
}

/// Four registers of four lanes.
#[derive(Clone, Copy)]
pub(crate) struct NeonVector([float32x4_t; 4]);

impl NeonVector {
    #[inline(always)]
    fn zip_map(self, other: Self, f: impl Fn(float32x4_t, float32x4_t) -> float32x4_t) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

// SAFETY: every processor of the architecture has NEON. Zero bits of four registers are sixteen zeros.
unsafe impl Simd for Neon {
    type Vector = NeonVector;

    const HAS_32_REGISTERS: bool = false;

    #[inline(always)]
    fn splat(self, value: f32) -> NeonVector {
        // SAFETY: every processor of the architecture has NEON.
        NeonVector([unsafe { vdupq_n_f32(value) }; 4])
    }

    #[inline(always)]
    unsafe fn load_ptr(self, from: *const f32) -> NeonVector {
        // SAFETY: every processor of the architecture has NEON, the caller promises sixteen readable values.
        NeonVector(std::array::from_fn(|i| unsafe { vld1q_f32(from.add(i * LANES / 4)) }))
    }
}

/// Defines methods of a vector by an expression for each register, of intrinsics that touch no memory.
macro_rules! vector_methods {
    ($(fn $name:ident($this:ident, $other:ident) = |$a:ident, $b:ident| $body:expr;)*) => {
        $(
            #[inline(always)]
            fn $name($this, $other: Self) -> Self {
                // SAFETY: every processor of the architecture has NEON. The intrinsics work on registers alone.
                $this.zip_map($other, |$a, $b| unsafe { $body })
            }
        )*
    };
}

impl F32x16 for NeonVector {
    #[inline(always)]
    unsafe fn store_ptr(self, to: *mut f32) {
        for (i, part) in self.0.into_iter().enumerate() {
            // SAFETY: every processor of the architecture has NEON, the caller promises sixteen writable places.
            unsafe { vst1q_f32(to.add(i * LANES / 4), part) }
        }
    }

    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        // SAFETY: every processor of the architecture has NEON. The intrinsic works on registers alone.
        Self(std::array::from_fn(|i| unsafe { vfmaq_f32(self.0[i], a.0[i], b.0[i]) }))
    }

    vector_methods! {
        fn add(self, other) = |a, b| vaddq_f32(a, b);
        fn sub(self, other) = |a, b| vsubq_f32(a, b);
        fn mul(self, other) = |a, b| vmulq_f32(a, b);
        fn div(self, other) = |a, b| vdivq_f32(a, b);
        fn max(self, other) = |a, b| vmaxq_f32(a, b);
        fn min(self, other) = |a, b| vminq_f32(a, b);
        fn where_positive(self, test) = |a, b| {
            vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(a), vcgtzq_f32(b)))
        };
    }

    #[inline(always)]
    fn round(self) -> Self {
        // SAFETY: every processor of the architecture has NEON. The intrinsic works on registers alone.
        Self(self.0.map(|x| unsafe { vrndnq_f32(x) }))
    }

    #[inline(always)]
    fn exp2_integral(self) -> Self {
        // SAFETY: every processor of the architecture has NEON. The intrinsics work on registers alone.
        Self(self.0.map(|x| unsafe {
            let exponent = vaddq_s32(vcvtq_s32_f32(x), vdupq_n_s32(127));
            vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent))
        }))
    }
}
