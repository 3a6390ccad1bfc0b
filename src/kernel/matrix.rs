//! Matrix products, and the linear layer that is one. It serves layers so wide that the blocked layout gains nothing.

use std::mem::MaybeUninit;

use gemm::Parallelism;

use super::memory::{as_uninit, assume_init, uninit};
use super::operation::{Operation, Output, TensorView};

/// A matrix in a slice, with any distance between rows and between columns.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Returns a row-major matrix of as many rows as the values fill.
    pub(super) fn new(values: &'a [f32], columns: usize) -> Self {
        let rows = values.len() / columns.max(1);
        Self { values: &values[..rows * columns], rows, columns, row_stride: columns, column_stride: 1 }
    }

    /// Returns the transposed matrix.
    pub(super) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// Returns `a·b`, row-major.
pub(super) fn product(a: Matrix, b: Matrix) -> Vec<f32> {
    let mut to = uninit(a.rows * b.columns);
    if a.columns == 0 {
        to.fill(MaybeUninit::new(0.0));
    }
    // SAFETY: nothing is read from `to`. The product writes all of it, and without columns it is filled with zeros.
    unsafe {
        gemm(&mut to, a, b, false);
        assume_init(to)
    }
}

/// Adds `a·b` to a row-major matrix.
pub(super) fn add_product(to: &mut [f32], a: Matrix, b: Matrix) {
    // SAFETY: `to` is initialized, and sums of products are written to it.
    unsafe { gemm(as_uninit(to), a, b, true) }
}

/// Writes `a·b` to a row-major matrix, or adds it. Does nothing if the product is a sum of no terms.
///
/// # Safety
/// If `adds`, `to` must be initialized.
unsafe fn gemm(to: &mut [MaybeUninit<f32>], a: Matrix, b: Matrix, adds: bool) {
    assert_eq!(a.columns, b.rows);
    assert_eq!(to.len(), a.rows * b.columns);
    if to.is_empty() || a.columns == 0 {
        return;
    }
    let threads = rayon::current_num_threads();
    let parallelism = if threads > 1 { Parallelism::Rayon(threads) } else { Parallelism::None };
    // SAFETY: `Matrix::new` cut the values of both factors to their rows and columns, and `transposed` swaps these together
    // with their strides. The assertions above hold for `to`, which is borrowed exclusively.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            to.as_mut_ptr().cast::<f32>(),
            1,
            b.columns as isize,
            adds,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// `y = x·Wᵀ + b`. Inputs: x `[rows, in]`, W `[out, in]`, b `[out]`. Output: `[rows, out]`.
#[derive(Clone, Debug)]
pub(super) struct Linear;

impl Operation for Linear {
    fn forward(&self, inputs: &[TensorView]) -> Vec<Output> {
        let [x, weight, bias] = inputs else { unreachable!("three inputs") };
        let (rows, out) = (x.shape[0], weight.shape[0]);
        let mut values = bias.values.repeat(rows);
        add_product(&mut values, matrix(x), matrix(weight).transposed());
        vec![Output { values, shape: vec![rows, out] }]
    }

    fn backward(&self, inputs: &[TensorView], gradient: TensorView, wanted: &[bool]) -> Vec<Output> {
        let [x, weight, bias] = inputs else { unreachable!("three inputs") };
        let dy = matrix(&gradient);
        let mut gradients = Vec::new();
        if wanted[0] {
            gradients.push(Output { values: product(dy, matrix(weight)), shape: x.shape.to_vec() });
        }
        if wanted[1] {
            gradients.push(Output { values: product(dy.transposed(), matrix(x)), shape: weight.shape.to_vec() });
        }
        if wanted[2] {
            let mut sums = vec![0.0; bias.values.len()];
            for row in gradient.values.chunks_exact(sums.len()) {
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            }
            gradients.push(Output { values: sums, shape: bias.shape.to_vec() });
        }
        gradients
    }
}

fn matrix<'a>(tensor: &TensorView<'a>) -> Matrix<'a> {
    Matrix::new(tensor.values, tensor.shape[1])
}
