//! Plain Rust, which the compiler may turn into whatever vectors the target has.

use super::{F32x16, LANES, Simd};

/// The token of no instructions in particular: every processor has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Portable;

/// An array of sixteen values.
#[derive(Clone, Copy)]
pub(crate) struct PortableVector([f32; LANES]);

// SAFETY: nothing is asked of the processor, and zero bits are an array of zeros.
unsafe impl Simd for Portable {
    type Vector = PortableVector;

    const HAS_32_REGISTERS: bool = false;

    #[inline(always)]
    fn splat(self, value: f32) -> PortableVector {
        PortableVector([value; LANES])
    }

    #[inline(always)]
    unsafe fn load_ptr(self, from: *const f32) -> PortableVector {
        // SAFETY: the caller promises sixteen readable values.
        PortableVector(unsafe { from.cast::<[f32; LANES]>().read_unaligned() })
    }
}

impl PortableVector {
    #[inline(always)]
    fn zip_map(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

impl F32x16 for PortableVector {
    #[inline(always)]
    unsafe fn store_ptr(self, to: *mut f32) {
        // SAFETY: the caller promises sixteen writable places.
        unsafe { to.cast::<[f32; LANES]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + a.0[i] * b.0[i]))
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip_map(other, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip_map(other, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip_map(other, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.zip_map(other, |a, b| a / b)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip_map(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.zip_map(other, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn where_positive(self, test: Self) -> Self {
        self.zip_map(test, |value, test| if test > 0.0 { value } else { 0.0 })
    }
    #[inline(always)]
    fn round(self) -> Self {
        Self(self.0.map(f32::round_ties_even))
    }
    #[inline(always)]
    fn exp2_integral(self) -> Self {
        Self(self.0.map(|x| f32::from_bits(((x as i32 + 127) as u32) << 23)))
    }
}
