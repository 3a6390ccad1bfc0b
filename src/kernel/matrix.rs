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

/// The product of `gemm` rounds otherwise in tiles that are not full, and where it adds to what is there. A sample must not depend
/// on which others come with it: rows are filled up to a multiple of the heights of all tiles, and the bias is added afterwards.
const TILE_ROWS: usize = 24;

/// `y = x·Wᵀ + b`. Inputs: x `[rows, in]`, W `[out, in]`, b `[out]`. Output: `[rows, out]`.
#[derive(Clone, Debug)]
pub(super) struct Linear;

impl Operation for Linear {
    fn forward(&self, inputs: &[TensorView]) -> Vec<Output> {
        let [x, weight, bias] = inputs else { unreachable!("three inputs") };
        let (rows, out) = (x.shape[0], weight.shape[0]);
        let whole = rows.next_multiple_of(TILE_ROWS);
        let padded = (whole > rows).then(|| {
            let mut padded = x.values.to_vec();
            padded.resize(whole * x.shape[1], 0.0);
            padded
        });
        let x = Matrix::new(padded.as_deref().unwrap_or(x.values), x.shape[1]);
        let mut values = product(x, matrix(weight).transposed());
        values.truncate(rows * out);
        for row in values.chunks_exact_mut(out) {
            row.iter_mut().zip(bias.values).for_each(|(value, bias)| *value += bias);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_the_same_whatever_rows_come_with_it() {
        let draw = |count: usize, step: f32| -> Vec<f32> { (0..count).map(|i| (i as f32 * step).sin()).collect() };
        for (input, out) in [(12, 9), (7, 3), (33, 70), (300, 40)] {
            let (weight, bias) = (draw(out * input, 0.37), draw(out, 0.9));
            let layer = |rows: usize| {
                let x = draw(rows * input, 0.71);
                let shapes = [[rows, input].to_vec(), vec![out, input], vec![out]];
                let values = [x.as_slice(), &weight, &bias];
                let views: Vec<TensorView> =
                    values.into_iter().zip(&shapes).map(|(values, shape)| TensorView { values, shape }).collect();
                Linear.forward(&views).remove(0).values
            };
            let all = layer(130);
            for rows in (1..60).chain([100, 129]) {
                let some = layer(rows);
                assert_eq!(some, all[..rows * out], "{rows} rows, {input} to {out}");
            }
        }
    }
}
