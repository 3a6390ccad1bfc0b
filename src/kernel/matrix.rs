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

    /// Returns the values of one row.
    fn row(&self, row: usize) -> impl Iterator<Item = f32> {
        let start = row * self.row_stride;
        (0..self.columns).map(move |column| self.values[start + column * self.column_stride])
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

/// Terms that one call of the library sums. It splits longer sums at a place that depends on the number of rows.
const TERMS: usize = 512;
/// The library computes products of so many values or fewer in another order than larger ones.
const SMALL_PRODUCT: usize = 256;

/// Writes `a·b` to a row-major matrix, or adds it. Does nothing if the product is a sum of no terms.
///
/// The values of a row do not depend on the other rows, nor on their number: results of a network would depend on its batch.
///
/// # Safety
/// If `adds`, `to` must be initialized.
unsafe fn gemm(to: &mut [MaybeUninit<f32>], a: Matrix, b: Matrix, adds: bool) {
    assert_eq!(a.columns, b.rows);
    assert_eq!(to.len(), a.rows * b.columns);
    if to.is_empty() || a.columns == 0 {
        return;
    }
    // One row is a product of a vector and a matrix to the library, which has an order of its own.
    let enough = (SMALL_PRODUCT / b.columns + 1).max(2);
    if a.rows >= enough {
        // SAFETY: as the caller promises.
        return unsafe { sum_terms(to, a, b, adds) };
    }
    let mut rows: Vec<f32> = (0..a.rows).flat_map(|row| a.row(row)).collect();
    rows.resize(enough * a.columns, 0.0);
    let mut sums = vec![0.0; enough * b.columns];
    if adds {
        // SAFETY: the caller promises that `to` is initialized.
        to.iter().zip(&mut sums).for_each(|(value, sum)| *sum = unsafe { value.assume_init() });
    }
    // SAFETY: `sums` is initialized.
    unsafe { sum_terms(as_uninit(&mut sums), Matrix::new(&rows, a.columns), b, adds) };
    to.iter_mut().zip(sums).for_each(|(value, sum)| *value = MaybeUninit::new(sum));
}

/// Writes or adds a product of enough rows, so many terms at a time.
///
/// # Safety
/// As of [`gemm`].
unsafe fn sum_terms(to: &mut [MaybeUninit<f32>], a: Matrix, b: Matrix, adds: bool) {
    assert!(to.len() == a.rows * b.columns && a.columns == b.rows);
    let threads = rayon::current_num_threads();
    let parallelism = if threads > 1 { Parallelism::Rayon(threads) } else { Parallelism::None };
    for first in (0..a.columns).step_by(TERMS) {
        // SAFETY: `Matrix::new` cut the values of both factors to their rows and columns, and `transposed` swaps these
        // together with their strides; `first` is a column of `a` and a row of `b`. The assertion above holds for `to`,
        // which is borrowed exclusively, and is initialized by the first terms if it was not before.
        unsafe {
            gemm::gemm(
                a.rows,
                b.columns,
                TERMS.min(a.columns - first),
                to.as_mut_ptr().cast::<f32>(),
                1,
                b.columns as isize,
                adds || first > 0,
                a.values.as_ptr().add(first * a.column_stride),
                a.column_stride as isize,
                a.row_stride as isize,
                b.values.as_ptr().add(first * b.row_stride),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Values without a pattern, the same in every run.
    fn values(count: usize, seed: u32) -> Vec<f32> {
        (0..count as u32)
            .map(|i| ((i ^ seed).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0)
            .collect()
    }

    #[test]
    fn a_row_of_a_product_does_not_depend_on_the_other_rows() {
        for (terms, columns) in [(1, 1), (2, 300), (9, 10), (64, 10), (100, 1), (650, 200), (1300, 64), (2600, 10)] {
            let weight = values(columns * terms, 7);
            let all = values(70 * terms, 3);
            let weight = Matrix::new(&weight, terms).transposed();
            let whole = product(Matrix::new(&all, terms), weight);
            for rows in [1, 2, 3, 8, 15, 16, 17, 26, 33, 64] {
                for first in [0, 70 - rows] {
                    let part = product(Matrix::new(&all[first * terms..(first + rows) * terms], terms), weight);
                    let expected = &whole[first * columns..(first + rows) * columns];
                    assert!(part == expected, "{terms} terms, {columns} columns, {rows} rows from row {first}");
                }
            }
        }
    }

    #[test]
    fn products_are_sums_in_double_precision() {
        /// Rounding of up to 1,300 terms between -1 and 1, each in single precision.
        const TOLERANCE: f64 = 1e-4;
        for (rows, terms, columns) in [(1, 1300, 3), (5, 700, 300), (2, 0, 4)] {
            let (a, b) = (values(rows * terms, 1), values(terms * columns, 2));
            let found =
                product(Matrix { rows, ..Matrix::new(&a, terms) }, Matrix { columns, ..Matrix::new(&b, columns) });
            let mut added = vec![1.0; rows * columns];
            add_product(&mut added, Matrix { rows, ..Matrix::new(&a, terms) }, Matrix::new(&b, columns));
            for (place, value) in found.iter().enumerate() {
                let (row, column) = (place / columns, place % columns);
                let term = |k: usize| f64::from(a[row * terms + k]) * f64::from(b[k * columns + column]);
                let expected: f64 = (0..terms).map(term).sum();
                assert!((f64::from(*value) - expected).abs() < TOLERANCE, "{rows}x{terms}x{columns}");
                assert!((f64::from(added[place]) - 1.0 - expected).abs() < TOLERANCE, "{rows}x{terms}x{columns}");
            }
        }
    }
}
