//! Arrays by the DLPack protocol: the part of its C interface that reading an array on the CPU needs.

use std::ffi::{CStr, c_void};

use pyo3::ffi;
use pyo3::prelude::*;

use crate::arrays::{ElementType, View};

/// The device types whose memory the CPU reads: CPU, and memory pinned for CUDA and for ROCm.
const HOST_DEVICES: [i32; 3] = [1, 3, 11];
/// The newest major version of the structures.
const MAJOR: u32 = 1;
const CODE_INT: u8 = 0;
const CODE_UINT: u8 = 1;
const CODE_FLOAT: u8 = 2;
const CODE_BFLOAT: u8 = 4;
const CODE_BOOL: u8 = 6;

#[repr(C)]
struct DlTensor {
    data: *mut c_void,
    device_type: i32,
    device_id: i32,
    ndim: i32,
    code: u8,
    bits: u8,
    lanes: u16,
    shape: *mut i64,
    strides: *mut i64,
    byte_offset: u64,
}

/// `DLManagedTensorVersioned`. Its deleter is called by the capsule, which keeps what it owns.
#[repr(C)]
struct DlManagedTensorVersioned {
    major: u32,
    minor: u32,
    manager: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut Self)>,
    flags: u64,
    tensor: DlTensor,
}

/// Calls a function with the array that an object exports.
///
/// The capsule keeps its name: this is a look at the array, which the capsule frees.
///
/// # Errors
/// The exception of `__dlpack__`, or a sentence that says why the array cannot be read.
pub(crate) fn with_view<T>(
    object: &Bound<'_, PyAny>,
    read: impl FnOnce(&View<'_>) -> std::result::Result<T, String>,
) -> PyResult<std::result::Result<T, String>> {
    let (device, _): (i32, i64) = object.call_method0("__dlpack_device__")?.extract()?;
    if !HOST_DEVICES.contains(&device) {
        return Ok(Err("is not in the memory of the CPU; move it there, as by .cpu()".into()));
    }
    let capsule = export(object)?;
    let pointer = |name: &CStr| {
        // SAFETY: the object is alive, the thread holds the GIL, and the name is that of the capsule, which is checked first.
        unsafe {
            match ffi::PyCapsule_IsValid(capsule.as_ptr(), name.as_ptr()) {
                1 => ffi::PyCapsule_GetPointer(capsule.as_ptr(), name.as_ptr()),
                _ => std::ptr::null_mut(),
            }
        }
    };
    let [versioned, plain] = [c"dltensor_versioned", c"dltensor"].map(pointer);
    let tensor = if !versioned.is_null() {
        // SAFETY: a capsule of this name holds this structure.
        match unsafe { of_known_version(versioned) } {
            Some(managed) => &managed.tensor,
            None => return Ok(Err("has a newer version of DLPack than is read".into())),
        }
    } else if !plain.is_null() {
        // SAFETY: a capsule of this name holds a `DLManagedTensor`, which begins with the tensor.
        unsafe { &*plain.cast::<DlTensor>() }
    } else {
        return Ok(Err("gave no capsule of DLPack".into()));
    };
    Ok(view(tensor).and_then(|view| read(&view)))
}

/// Returns a versioned structure where its major version is known.
///
/// # Safety
/// The pointer is that of such a structure, which lives as long as the result is used.
unsafe fn of_known_version<'a>(pointer: *const c_void) -> Option<&'a DlManagedTensorVersioned> {
    // SAFETY: the version comes first in every version; the rest is read for the known ones alone.
    unsafe { (*pointer.cast::<u32>() <= MAJOR).then(|| &*pointer.cast::<DlManagedTensorVersioned>()) }
}

/// Asks an object for a capsule, of the versioned form where it knows it.
fn export<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = object.py();
    let options = pyo3::types::PyDict::new(py);
    options.set_item("max_version", (MAJOR, 0))?;
    match object.call_method("__dlpack__", (), Some(&options)) {
        Err(error) if error.is_instance_of::<pyo3::exceptions::PyTypeError>(py) => object.call_method0("__dlpack__"),
        other => other,
    }
}

/// Returns the values of a tensor.
fn view(tensor: &DlTensor) -> std::result::Result<View<'_>, String> {
    let element = match (tensor.code, tensor.bits, tensor.lanes) {
        (CODE_INT, bits, 1) => ElementType::signed(bits),
        (CODE_UINT, bits, 1) => ElementType::unsigned(bits),
        (CODE_FLOAT, bits, 1) => ElementType::float(bits),
        (CODE_BFLOAT, 16, 1) => Some(ElementType::Bf16),
        (CODE_BOOL, 8, 1) => Some(ElementType::U8),
        _ => None,
    };
    let element = element.ok_or("holds values that are no integers, floats or truth values")?;
    let rank = usize::try_from(tensor.ndim).map_err(|_| "has a negative number of dimensions")?;
    let sides = |sides: *mut i64| {
        if rank == 0 {
            return &[][..];
        }
        // SAFETY: a tensor of DLPack has `ndim` sides, and as many strides where there are any.
        unsafe { std::slice::from_raw_parts(sides, rank) }
    };
    let shape = sides(tensor.shape).iter().map(|&side| usize::try_from(side)).collect::<Result<Vec<_>, _>>();
    let shape = shape.map_err(|_| "has a side of negative length")?;
    let strides = (!tensor.strides.is_null()).then(|| sides(tensor.strides).iter().map(|&n| n as isize).collect());
    let data = tensor.data.cast::<u8>().cast_const().wrapping_add(tensor.byte_offset as usize);
    // SAFETY: the exporter says that the elements of this shape and these strides are there, as long as the capsule lives.
    Ok(unsafe { View::new(data, element, shape, strides) })
}
