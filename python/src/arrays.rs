//! The values of an array of any element type and any strides, as `f32`.

use std::marker::PhantomData;

/// The largest integer up to which f32 holds every integer.
const MAX_EXACT_INTEGER: f64 = 16_777_216.0;

/// The type of the elements of an array, in the byte order of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ElementType {
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F16,
    Bf16,
    F32,
    F64,
}

impl ElementType {
    pub(crate) fn signed(bits: u8) -> Option<Self> {
        [(8, Self::I8), (16, Self::I16), (32, Self::I32), (64, Self::I64)]
            .into_iter()
            .find(|(b, _)| *b == bits)
            .map(second)
    }

    pub(crate) fn unsigned(bits: u8) -> Option<Self> {
        [(8, Self::U8), (16, Self::U16), (32, Self::U32), (64, Self::U64)]
            .into_iter()
            .find(|(b, _)| *b == bits)
            .map(second)
    }

    pub(crate) fn float(bits: u8) -> Option<Self> {
        [(16, Self::F16), (32, Self::F32), (64, Self::F64)].into_iter().find(|(b, _)| *b == bits).map(second)
    }

    /// Returns the type that a format of the module `struct` names, for an element of so many bytes.
    pub(crate) fn of_format(format: &str, bytes: usize) -> Option<Self> {
        let native = if cfg!(target_endian = "little") { '<' } else { '>' };
        let code = format.trim_start_matches(['@', '=', native]);
        let bits = u8::try_from(8 * bytes).ok()?;
        match code {
            "b" | "h" | "i" | "l" | "q" | "n" => Self::signed(bits),
            "B" | "H" | "I" | "L" | "Q" | "N" | "?" => Self::unsigned(bits),
            "e" | "f" | "d" => Self::float(bits),
            _ => None,
        }
    }

    /// The size of an element in bytes.
    fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 | Self::F16 | Self::Bf16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
        }
    }

    /// Returns the value of an element; `None` for an integer that f32 does not hold.
    ///
    /// # Safety
    /// An element of this type is at the address, which need not be aligned.
    unsafe fn read(self, at: *const u8) -> Option<f32> {
        let exact = |value: f64| (value.abs() <= MAX_EXACT_INTEGER).then_some(value as f32);
        // SAFETY: as the function asks.
        unsafe {
            match self {
                Self::I8 => Some(f32::from(at.cast::<i8>().read_unaligned())),
                Self::I16 => Some(f32::from(at.cast::<i16>().read_unaligned())),
                Self::I32 => exact(f64::from(at.cast::<i32>().read_unaligned())),
                Self::I64 => exact(at.cast::<i64>().read_unaligned() as f64),
                Self::U8 => Some(f32::from(at.read())),
                Self::U16 => Some(f32::from(at.cast::<u16>().read_unaligned())),
                Self::U32 => exact(f64::from(at.cast::<u32>().read_unaligned())),
                Self::U64 => exact(at.cast::<u64>().read_unaligned() as f64),
                Self::F16 => Some(half(at.cast::<u16>().read_unaligned())),
                Self::Bf16 => Some(f32::from_bits(u32::from(at.cast::<u16>().read_unaligned()) << 16)),
                Self::F32 => Some(at.cast::<f32>().read_unaligned()),
                Self::F64 => Some(at.cast::<f64>().read_unaligned() as f32),
            }
        }
    }
}

fn second<A, B>((_, b): (A, B)) -> B {
    b
}

/// Returns the value of a number in IEEE half precision.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2.0_f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction / 1024.0) * 2.0_f32.powi(exponent - 15),
    }
}

/// An array that somebody else owns.
pub(crate) struct View<'a> {
    data: *const u8,
    element: ElementType,
    shape: Vec<usize>,
    /// In elements; `None` where the array is in row-major order.
    strides: Option<Vec<isize>>,
    owner: PhantomData<&'a ()>,
}

impl View<'_> {
    /// # Safety
    /// All elements of this shape and these strides can be read from `data` as long as the view lives.
    pub(crate) unsafe fn new(
        data: *const u8,
        element: ElementType,
        shape: Vec<usize>,
        strides: Option<Vec<isize>>,
    ) -> Self {
        Self { data, element, shape, strides, owner: PhantomData }
    }

    /// Returns the array in the bytes of its elements, in row-major order; `None` for another number of bytes.
    pub(crate) fn of_bytes(bytes: &[u8], element: ElementType, shape: Vec<usize>) -> Option<View<'_>> {
        let needed = shape.iter().try_fold(element.size(), |size, &side| size.checked_mul(side));
        // SAFETY: there are as many bytes as the elements take.
        (needed == Some(bytes.len())).then(|| unsafe { View::new(bytes.as_ptr(), element, shape, None) })
    }

    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Returns the bytes of an array of bytes that lie side by side; `None` for any other array.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        let is_row_major = self.strides.as_ref().is_none_or(|strides| *strides == row_major(&self.shape));
        let count = self.shape.iter().try_fold(1_usize, |n, &side| n.checked_mul(side))?;
        match (self.element, count) {
            (ElementType::U8, 0) => Some(&[]),
            // SAFETY: so many bytes lie one after another, as whoever made the view said.
            (ElementType::U8, _) if is_row_major => Some(unsafe { std::slice::from_raw_parts(self.data, count) }),
            _ => None,
        }
    }

    /// Returns the values in row-major order. The error says what is wrong with the array.
    pub(crate) fn values(&self) -> Result<Vec<f32>, String> {
        let no_memory = || format!("of shape {:?} does not fit into memory", self.shape);
        let count = self.shape.iter().try_fold(1_usize, |n, &side| n.checked_mul(side)).ok_or_else(no_memory)?;
        let mut values = Vec::new();
        values.try_reserve_exact(count).map_err(|_| no_memory())?;
        if count == 0 {
            return Ok(values);
        }
        let strides = self.strides.clone().unwrap_or_else(|| row_major(&self.shape));
        let is_row_major = strides == row_major(&self.shape);
        if is_row_major && self.element == ElementType::F32 && self.data.cast::<f32>().is_aligned() {
            // SAFETY: so many floats lie one after another at an aligned address.
            values.extend_from_slice(unsafe { std::slice::from_raw_parts(self.data.cast::<f32>(), count) });
            return Ok(values);
        }
        let size = self.element.size() as isize;
        let mut index = vec![0_usize; self.shape.len()];
        let mut offset = 0_isize;
        for _ in 0..count {
            // SAFETY: `offset` is that of the element `index`, which the shape has.
            let value = unsafe { self.element.read(self.data.wrapping_offset(offset * size)) };
            values.push(value.ok_or("holds integers that f32 does not hold exactly, beyond 16,777,216")?);
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                offset += strides[axis];
                if index[axis] < self.shape[axis] {
                    break;
                }
                offset -= strides[axis] * index[axis] as isize;
                index[axis] = 0;
            }
        }
        Ok(values)
    }
}

/// Returns the strides of an array in row-major order, in elements.
fn row_major(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis] as isize;
    }
    strides
}
