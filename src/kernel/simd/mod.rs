//! Vectors of sixteen `f32` on every instruction set that the kernels support.
//!
//! An instruction set is a token: a value of a type that implements [`Simd`]. A token can only be made where the processor
//! has the instructions, and a vector can only be made from a token. So every operation on vectors is safe to call.
//!
//! A kernel implements [`SimdOp`], generic over the token, and is run by [`run`].

#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::mem::MaybeUninit;
use std::sync::OnceLock;

use portable::Portable;

use crate::{Error, Result};

/// Lanes of a vector, and channels of a block: one AVX-512 register.
pub(crate) const LANES: usize = 16;

/// An instruction set that the processor has.
///
/// # Safety
/// A value of the type must exist only where the processor has the instruction set. Sixteen zeros must be the value of
/// [`Self::Vector`] whose bits are all zero.
pub(crate) unsafe trait Simd: Copy {
    /// Sixteen values.
    type Vector: F32x16;

    /// Whether there are 32 registers of 16 lanes; otherwise there are 16 registers of 8 lanes or fewer. The
    /// microkernels choose the number of their accumulators by it.
    const HAS_32_REGISTERS: bool;

    /// Returns a vector with `value` in every lane.
    fn splat(self, value: f32) -> Self::Vector;

    /// Loads sixteen values.
    ///
    /// # Safety
    /// Sixteen initialized values must be readable at `from`. It need not be aligned to more than an `f32`.
    unsafe fn load_ptr(self, from: *const f32) -> Self::Vector;

    /// Asks the processor to fetch a cache line into the second-level cache. `from` may point anywhere. Does nothing where
    /// there is no such instruction.
    #[inline(always)]
    fn prefetch(self, _from: *const f32) {}

    /// Loads the first sixteen values of a slice. Panics if there are fewer.
    #[inline(always)]
    fn load(self, from: &[f32]) -> Self::Vector {
        assert!(from.len() >= LANES);
        // SAFETY: the slice has sixteen values.
        unsafe { self.load_ptr(from.as_ptr()) }
    }

    /// Loads up to sixteen values, followed by zeros.
    #[inline(always)]
    fn load_partial(self, from: &[f32]) -> Self::Vector {
        if from.len() == LANES {
            return self.load(from);
        }
        let mut all = [0.0; LANES];
        all[..from.len()].copy_from_slice(from);
        self.load(&all)
    }

    /// Returns `N` vectors of zeros.
    ///
    /// An array of vectors stays in registers only if it is made like this, as zero bits, and if every access to it has a
    /// constant index; see `unroll!`.
    #[inline(always)]
    fn zeros<const N: usize>(self) -> [Self::Vector; N] {
        // SAFETY: the trait promises that zero bits are a vector, and the token permits to make one.
        unsafe { std::mem::zeroed() }
    }

    /// Returns `M` times `N` vectors of zeros. See [`Self::zeros`].
    #[inline(always)]
    fn zeros_2d<const N: usize, const M: usize>(self) -> [[Self::Vector; N]; M] {
        // SAFETY: as for `zeros`.
        unsafe { std::mem::zeroed() }
    }

    /// Returns `e^x` to a relative error of about 2e-7. `x` is clamped to ±87. NaN stays NaN.
    #[inline(always)]
    fn exp(self, x: Self::Vector) -> Self::Vector {
        let x = self.splat(87.0).min(self.splat(-87.0).max(x));
        let whole = x.mul(self.splat(std::f32::consts::LOG2_E)).round();
        // ln 2 in two parts. The first has few bits, so that its product with a whole number is exact.
        let rest = x.mul_add(whole, self.splat(-0.693_359_4)).mul_add(whole, self.splat(2.121_944_4e-4));
        // The Taylor series up to the seventh power; |rest| is at most ln 2 / 2.
        let mut sum = self.splat(1.0 / 5040.0);
        for factor in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
            sum = self.splat(factor).mul_add(sum, rest);
        }
        sum.mul(whole.exp2_integral())
    }

    /// Returns `1 / (1 + e^-x)`.
    #[inline(always)]
    fn sigmoid(self, x: Self::Vector) -> Self::Vector {
        let one = self.splat(1.0);
        one.div(one.add(self.exp(self.splat(0.0).sub(x))))
    }

    /// Returns `tanh(x) = 1 - 2 / (e^(2·x) + 1)` to an absolute error of about 1e-7.
    #[inline(always)]
    fn tanh(self, x: Self::Vector) -> Self::Vector {
        let one = self.splat(1.0);
        one.sub(self.splat(2.0).div(one.add(self.exp(x.add(x)))))
    }
}

/// Sixteen `f32` values. All operations work lane by lane.
pub(crate) trait F32x16: Copy {
    /// Stores the sixteen values.
    ///
    /// # Safety
    /// Sixteen values must be writable at `to`. It need not be aligned to more than an `f32`.
    unsafe fn store_ptr(self, to: *mut f32);
    /// Returns `self + a·b`, rounded once where the processor has such an instruction.
    fn mul_add(self, a: Self, b: Self) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    /// Returns the maximum, or `other` where a value is NaN, so that `zero.max(x)` keeps the NaN of x.
    fn max(self, other: Self) -> Self;
    /// Returns the minimum, or `other` where a value is NaN.
    fn min(self, other: Self) -> Self;
    /// Returns `self` in the lanes where `test > 0`, and 0 in the others.
    fn where_positive(self, test: Self) -> Self;
    /// Rounds to the nearest integers.
    fn round(self) -> Self;
    /// Returns `2^self` for integers from -126 to 127.
    fn exp2_integral(self) -> Self;

    /// Stores to the first sixteen places of a slice. Panics if there are fewer.
    #[inline(always)]
    fn store<C: F32Slot>(self, to: &mut [C]) {
        assert!(to.len() >= LANES);
        // SAFETY: the slice has sixteen places, and a slot is as large as an f32 and may hold any.
        unsafe { self.store_ptr(to.as_mut_ptr().cast()) }
    }

    /// Stores the first lanes, as many as the slice has places. Panics if it has more than sixteen.
    #[inline(always)]
    fn store_partial<C: F32Slot>(self, to: &mut [C]) {
        if to.len() == LANES {
            return self.store(to);
        }
        assert!(to.len() < LANES);
        let all = self.to_array();
        for (to, value) in to.iter_mut().zip(&all) {
            *to = C::from_f32(*value);
        }
    }

    /// Returns the values of the lanes.
    #[inline(always)]
    fn to_array(self) -> [f32; LANES] {
        let mut all = [0.0; LANES];
        self.store(&mut all);
        all
    }
}

/// A place in memory that an `f32` can be written to.
///
/// # Safety
/// The type must have the size and alignment of an `f32`, and the bits of every `f32` must be a value of it.
pub(crate) unsafe trait F32Slot: Sized {
    /// Returns the slot that holds a value.
    fn from_f32(value: f32) -> Self;
}

// SAFETY: it is an `f32`.
unsafe impl F32Slot for f32 {
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        value
    }
}

// SAFETY: `MaybeUninit` has the layout of its type, and any bits are a value of it.
unsafe impl F32Slot for MaybeUninit<f32> {
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        Self::new(value)
    }
}

/// A computation that is compiled once for every instruction set.
pub(crate) trait SimdOp {
    /// What it returns.
    type Output;

    /// Computes. The method and every function that it passes the token or a vector to must be `#[inline(always)]`: only
    /// then does the compiler use the instructions of the set.
    fn eval<S: Simd>(self, simd: S) -> Self::Output;
}

/// Runs a computation on the instruction set in use.
#[inline]
pub(crate) fn run<O: SimdOp>(op: O) -> O::Output {
    InstructionSet::in_use().run(op)
}

/// The environment variable that chooses an instruction set other than the best.
const VARIABLE: &str = "UNROLLED_INSTRUCTION_SET";

/// Returns the names of the instruction sets for which there are kernels and which the processor has, the best first.
pub fn instruction_sets() -> Vec<&'static str> {
    InstructionSet::available().into_iter().map(InstructionSet::name).collect()
}

/// Returns the name of the instruction set in use: the best that the processor has, or the one that the environment variable
/// `UNROLLED_INSTRUCTION_SET` names. Each rounds a little differently.
///
/// # Errors
/// [`Error::Unsupported`] where the variable names one that the processor does not have.
pub fn instruction_set() -> Result<&'static str> {
    InstructionSet::asked()?;
    Ok(InstructionSet::in_use().name())
}

/// One of the instruction sets that the processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InstructionSet {
    #[cfg(target_arch = "x86_64")]
    Avx512(x86::Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
    #[cfg(target_arch = "aarch64")]
    Neon(neon::Neon),
    Portable(Portable),
}

impl InstructionSet {
    /// Returns all that the processor has, the best first.
    pub(crate) fn available() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(x86::Avx512::detect().map(Self::Avx512));
            all.extend(x86::Avx2::detect().map(Self::Avx2));
        }
        #[cfg(target_arch = "aarch64")]
        all.push(Self::Neon(neon::Neon::new()));
        all.push(Self::Portable(Portable));
        all
    }

    /// Returns the one in use: the best that the processor has, or the one that [`VARIABLE`] names.
    pub(crate) fn in_use() -> Self {
        static IN_USE: OnceLock<InstructionSet> = OnceLock::new();
        *IN_USE.get_or_init(|| Self::asked().ok().flatten().unwrap_or_else(|| Self::available()[0]))
    }

    /// Returns the one that [`VARIABLE`] names, where it is set.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the processor has none of that name.
    pub(crate) fn asked() -> Result<Option<Self>> {
        let Some(asked) = std::env::var_os(VARIABLE) else { return Ok(None) };
        let available = Self::available();
        let found = available.iter().find(|set| asked == set.name());
        let known = || available.iter().map(|set| set.name()).collect::<Vec<_>>().join(", ");
        let why = || format!("'{}' is none that this processor has; expected one of {}", asked.display(), known());
        found.copied().map(Some).ok_or_else(|| Error::unsupported(VARIABLE, why()))
    }

    /// Returns its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            #[cfg(target_arch = "aarch64")]
            Self::Neon(_) => "neon",
            Self::Portable(_) => "portable",
        }
    }

    /// Runs a computation on this instruction set.
    #[inline]
    pub(crate) fn run<O: SimdOp>(self, op: O) -> O::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => simd.run(op),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => simd.run(op),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(simd) => op.eval(simd),
            Self::Portable(simd) => op.eval(simd),
        }
    }
}
