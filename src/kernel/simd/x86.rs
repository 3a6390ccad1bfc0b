//! AVX-512, and AVX2 with FMA.

use std::arch::x86_64::*;

use super::{F32x16, Simd, SimdOp};

/// The token of AVX-512 F.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx512(());

impl Avx512 {
    /// Returns the token if the processor has AVX-512 F.
    pub(super) fn detect() -> Option<Self> {
        std::arch::is_x86_feature_detected!("avx512f").then_some(Self(()))
    }

    /// Runs a computation that is compiled for AVX-512 F.
    #[inline]
    pub(super) fn run<O: SimdOp>(self, op: O) -> O::Output {
        #[target_feature(enable = "avx512f")]
        fn compiled<O: SimdOp>(simd: Avx512, op: O) -> O::Output {
            op.eval(simd)
        }
        // SAFETY: the token was made by `detect`, so that the processor has AVX-512 F.
        unsafe { compiled(self, op) }
    }
}

/// The token of AVX2 and FMA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// Returns the token if the processor has AVX2 and FMA.
    pub(super) fn detect() -> Option<Self> {
        let has_both = std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma");
        has_both.then_some(Self(()))
    }

    /// Runs a computation that is compiled for AVX2 and FMA.
    #[inline]
    pub(super) fn run<O: SimdOp>(self, op: O) -> O::Output {
        #[target_feature(enable = "avx2,fma")]
        fn compiled<O: SimdOp>(simd: Avx2, op: O) -> O::Output {
            op.eval(simd)
        }
        // SAFETY: the token was made by `detect`, so that the processor has AVX2 and FMA.
        unsafe { compiled(self, op) }
    }
}

/// One register of sixteen lanes.
#[derive(Clone, Copy)]
pub(crate) struct Avx512Vector(__m512);

/// Two registers of eight lanes.
#[derive(Clone, Copy)]
pub(crate) struct Avx2Vector(__m256, __m256);

/// Defines methods of a vector by expressions of intrinsics that touch no memory.
macro_rules! vector_methods {
    ($(fn $name:ident($this:ident $(, $argument:ident)*) { $body:expr })*) => {
        $(
            #[inline(always)]
            fn $name($this $(, $argument: Self)*) -> Self {
                // SAFETY: vectors of this type are only made from its token, which exists only where the processor has
                // the instructions. They work on registers alone.
                unsafe { $body }
            }
        )*
    };
}

// SAFETY: `detect` alone makes the token. Zero bits of a register are sixteen zeros.
unsafe impl Simd for Avx512 {
    type Vector = Avx512Vector;

    const HAS_32_REGISTERS: bool = true;

    #[inline(always)]
    fn splat(self, value: f32) -> Avx512Vector {
        // SAFETY: the token proves that the processor has the instruction.
        Avx512Vector(unsafe { _mm512_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn load_ptr(self, from: *const f32) -> Avx512Vector {
        // SAFETY: the token proves that the processor has the instruction, the caller promises sixteen readable values.
        Avx512Vector(unsafe { _mm512_loadu_ps(from) })
    }

    #[inline(always)]
    fn prefetch(self, from: *const f32) {
        // SAFETY: a prefetch never faults, wherever the pointer leads.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(from.cast()) }
    }
}

impl F32x16 for Avx512Vector {
    #[inline(always)]
    unsafe fn store_ptr(self, to: *mut f32) {
        // SAFETY: the vector was made from its token, the caller promises sixteen writable places.
        unsafe { _mm512_storeu_ps(to, self.0) }
    }

    vector_methods! {
        fn mul_add(self, a, b) { Self(_mm512_fmadd_ps(a.0, b.0, self.0)) }
        fn add(self, other) { Self(_mm512_add_ps(self.0, other.0)) }
        fn sub(self, other) { Self(_mm512_sub_ps(self.0, other.0)) }
        fn mul(self, other) { Self(_mm512_mul_ps(self.0, other.0)) }
        fn div(self, other) { Self(_mm512_div_ps(self.0, other.0)) }
        fn max(self, other) { Self(_mm512_max_ps(self.0, other.0)) }
        fn min(self, other) { Self(_mm512_min_ps(self.0, other.0)) }
        fn where_positive(self, test) {{
            let positive = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(test.0, _mm512_setzero_ps());
            Self(_mm512_maskz_mov_ps(positive, self.0))
        }}
        fn round(self) { Self(_mm512_roundscale_ps::<0>(self.0)) }
        fn exp2_integral(self) {{
            let exponent = _mm512_add_epi32(_mm512_cvtps_epi32(self.0), _mm512_set1_epi32(127));
            Self(_mm512_castsi512_ps(_mm512_slli_epi32::<23>(exponent)))
        }}
    }
}

// SAFETY: `detect` alone makes the token. Zero bits of two registers are sixteen zeros.
unsafe impl Simd for Avx2 {
    type Vector = Avx2Vector;

    const HAS_32_REGISTERS: bool = false;

    #[inline(always)]
    fn splat(self, value: f32) -> Avx2Vector {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe { Avx2Vector(_mm256_set1_ps(value), _mm256_set1_ps(value)) }
    }

    #[inline(always)]
    unsafe fn load_ptr(self, from: *const f32) -> Avx2Vector {
        // SAFETY: the token proves that the processor has the instruction, the caller promises sixteen readable values.
        unsafe { Avx2Vector(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))) }
    }

    #[inline(always)]
    fn prefetch(self, from: *const f32) {
        // SAFETY: a prefetch never faults, wherever the pointer leads.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(from.cast()) }
    }
}

impl F32x16 for Avx2Vector {
    #[inline(always)]
    unsafe fn store_ptr(self, to: *mut f32) {
        // SAFETY: the vector was made from its token, the caller promises sixteen writable places.
        unsafe {
            _mm256_storeu_ps(to, self.0);
            _mm256_storeu_ps(to.add(8), self.1);
        }
    }

    vector_methods! {
        fn mul_add(self, a, b) { Self(_mm256_fmadd_ps(a.0, b.0, self.0), _mm256_fmadd_ps(a.1, b.1, self.1)) }
        fn add(self, other) { Self(_mm256_add_ps(self.0, other.0), _mm256_add_ps(self.1, other.1)) }
        fn sub(self, other) { Self(_mm256_sub_ps(self.0, other.0), _mm256_sub_ps(self.1, other.1)) }
        fn mul(self, other) { Self(_mm256_mul_ps(self.0, other.0), _mm256_mul_ps(self.1, other.1)) }
        fn div(self, other) { Self(_mm256_div_ps(self.0, other.0), _mm256_div_ps(self.1, other.1)) }
        fn max(self, other) { Self(_mm256_max_ps(self.0, other.0), _mm256_max_ps(self.1, other.1)) }
        fn min(self, other) { Self(_mm256_min_ps(self.0, other.0), _mm256_min_ps(self.1, other.1)) }
        fn where_positive(self, test) {{
            let zero = _mm256_setzero_ps();
            let low = _mm256_and_ps(self.0, _mm256_cmp_ps::<_CMP_GT_OQ>(test.0, zero));
            let high = _mm256_and_ps(self.1, _mm256_cmp_ps::<_CMP_GT_OQ>(test.1, zero));
            Self(low, high)
        }}
        fn round(self) { Self(_mm256_round_ps::<8>(self.0), _mm256_round_ps::<8>(self.1)) }
        fn exp2_integral(self) {{
            let bias = _mm256_set1_epi32(127);
            let low = _mm256_slli_epi32::<23>(_mm256_add_epi32(_mm256_cvtps_epi32(self.0), bias));
            let high = _mm256_slli_epi32::<23>(_mm256_add_epi32(_mm256_cvtps_epi32(self.1), bias));
            Self(_mm256_castsi256_ps(low), _mm256_castsi256_ps(high))
        }}
    }
}
