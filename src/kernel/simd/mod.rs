//! Sixteen f32 side by side, on every instruction set that the kernels know, and the choice between them.

#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::sync::OnceLock;

/// Channels of a block: the lanes of one AVX-512 register.
pub(crate) const LANES: usize = 16;

/// Sixteen values that are computed with at once.
///
/// The operations are safe to call only where the processor has the instruction set, which [`dispatch`] sees to; hence a
/// value of this type exists only beneath it.
pub(crate) trait Lanes: Copy {
    /// Whether there are 32 registers of 16 lanes, rather than 16 of 8.
    const WIDE: bool;

    /// Sixteen times the same.
    fn splat(value: f32) -> Self;
    /// # Safety
    /// Sixteen values must lie behind the pointer.
    unsafe fn load(from: *const f32) -> Self;
    /// # Safety
    /// There must be room for sixteen values behind the pointer.
    unsafe fn store(self, to: *mut f32);
    /// Has a cache line come from memory, where the processor can be told; the pointer need not lead anywhere.
    #[inline(always)]
    fn fetch(_from: *const f32) {}
    /// `self + a·b`, rounded once where the processor can.
    fn mul_add(self, a: Self, b: Self) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    /// The greater one; `other` where that is not a number, so that a ReLU hides none.
    fn max(self, other: Self) -> Self;
    /// The lesser one; `other` where that is not a number.
    fn min(self, other: Self) -> Self;
    /// `self` in the lanes in which `test` is positive, 0 in the others.
    fn where_positive(self, test: Self) -> Self;
    /// The nearest whole numbers.
    fn round(self) -> Self;
    /// `2^self` for whole numbers from -126 to 127.
    fn exp2_whole(self) -> Self;

    /// `e^self`, to about 2e-7 relative; arguments are cut to ±87, and what is no number stays none.
    #[inline(always)]
    fn exp(self) -> Self {
        let x = Self::splat(87.0).min(Self::splat(-87.0).max(self));
        let whole = x.mul(Self::splat(std::f32::consts::LOG2_E)).round();
        // ln 2 in two parts, the first of few bits: the product with a whole number is exact.
        let rest = x.mul_add(whole, Self::splat(-0.693_359_4)).mul_add(whole, Self::splat(2.121_944_4e-4));
        // Taylor's series up to the seventh power; |rest| is at most ln 2 / 2.
        let mut sum = Self::splat(1.0 / 5040.0);
        for factor in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
            sum = Self::splat(factor).mul_add(sum, rest);
        }
        sum.mul(whole.exp2_whole())
    }

    /// `1 / (1 + e^-self)`.
    #[inline(always)]
    fn sigmoid(self) -> Self {
        let one = Self::splat(1.0);
        one.div(one.add(Self::splat(0.0).sub(self).exp()))
    }

    /// `1 - 2 / (e^(2·self) + 1)`, to about 1e-7 absolute.
    #[inline(always)]
    fn tanh(self) -> Self {
        let one = Self::splat(1.0);
        one.sub(Self::splat(2.0).div(one.add(self.add(self).exp())))
    }
}

/// Work that is done with whatever lanes the processor has.
pub(crate) trait Work {
    type Output;

    /// Must be `#[inline(always)]`, and all that it calls with lanes: only so the instructions are used.
    fn run<L: Lanes>(self) -> Self::Output;
}

/// An instruction set that this processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isa {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Portable,
}

impl Isa {
    /// All that this processor has, the best first.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("avx512f") {
                all.push(Self::Avx512);
            }
            if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
                all.push(Self::Avx2);
            }
        }
        #[cfg(target_arch = "aarch64")]
        all.push(Self::Neon);
        all.push(Self::Portable);
        all
    }

    /// The best.
    pub(crate) fn best() -> Self {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| Self::all()[0])
    }
}

/// Does the work with an instruction set.
#[inline]
pub(crate) fn dispatch<W: Work>(isa: Isa, work: W) -> W::Output {
    match isa {
        // SAFETY: a value of `Isa` names what was found on this processor.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { x86::avx512(work) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { x86::avx2(work) },
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => work.run::<neon::Neon>(),
        Isa::Portable => work.run::<Portable>(),
    }
}

/// An array that the compiler may turn into whatever vectors the target has.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; LANES]);

impl Portable {
    #[inline(always)]
    fn each(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

impl Lanes for Portable {
    const WIDE: bool = false;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; LANES])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { from.cast::<[f32; LANES]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[f32; LANES]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + a.0[i] * b.0[i]))
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.each(other, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.each(other, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.each(other, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.each(other, |a, b| a / b)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.each(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.each(other, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn where_positive(self, test: Self) -> Self {
        self.each(test, |value, test| if test > 0.0 { value } else { 0.0 })
    }
    #[inline(always)]
    fn round(self) -> Self {
        Self(self.0.map(f32::round_ties_even))
    }
    #[inline(always)]
    fn exp2_whole(self) -> Self {
        Self(self.0.map(|x| f32::from_bits(((x as i32 + 127) as u32) << 23)))
    }
}
