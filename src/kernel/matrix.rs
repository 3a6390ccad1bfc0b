//! Products of matrices, and the weighted sum over all units that is one: for layers so wide that blocks of sixteen
//! channels gain nothing.

use gemm::Parallelism;

use super::operation::{Operation, Output, TensorView};
use super::parallel::uninit;

/// A matrix in an array, by the steps from row to row and from column to column.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row: usize,
    column: usize,
}

impl<'a> Matrix<'a> {
    /// Row-major.
    pub(super) fn new(values: &'a [f32], columns: usize) -> Self {
        let rows = values.len() / columns.max(1);
        Self { values: &values[..rows * columns], rows, columns, row: columns, column: 1 }
    }

    pub(super) fn transposed(self) -> Self {
        Self { rows: self.columns, columns: self.rows, row: self.column, column: self.row, ..self }
    }
}

/// `to = a·b`, row-major, or with `adds` that added to what is there.
pub(super) fn multiply(to: &mut [f32], a: Matrix, b: Matrix, adds: bool) {
    assert_eq!(a.columns, b.rows);
    assert_eq!(to.len(), a.rows * b.columns);
    if a.columns == 0 && !adds {
        to.fill(0.0);
    }
    if to.is_empty() || a.columns == 0 {
        return;
    }
    let threads = rayon::current_num_threads();
    let parallel = if threads > 1 { Parallelism::Rayon(threads) } else { Parallelism::None };
    // SAFETY: every matrix lies in its array, as `Matrix::new` and the assertions see to, and `to` is borrowed alone.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            to.as_mut_ptr(),
            1,
            b.columns as isize,
            adds,
            a.values.as_ptr(),
            a.column as isize,
            a.row as isize,
            b.values.as_ptr(),
            b.column as isize,
            b.row as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            parallel,
        );
    }
}

/// `y = x·Wᵀ + b`. Inputs: x `[rows, in]`, W `[out, in]`, b `[out]`.
#[derive(Clone, Debug)]
pub(super) struct Linear;

impl Operation for Linear {
    fn forward(&self, inputs: &[TensorView]) -> Vec<Output> {
        let [x, weight, bias] = inputs else { unreachable!("three inputs") };
        let (rows, out) = (x.shape[0], weight.shape[0]);
        let mut values = uninit(rows * out);
        values.chunks_exact_mut(out).for_each(|row| row.copy_from_slice(bias.values));
        multiply(&mut values, matrix(x), matrix(weight).transposed(), true);
        vec![Output { values, shape: vec![rows, out] }]
    }

    fn backward(&self, inputs: &[TensorView], gradient: TensorView, wanted: &[bool]) -> Vec<Output> {
        let [x, weight, bias] = inputs else { unreachable!("three inputs") };
        let dy = matrix(&gradient);
        let product = |a: Matrix, b: Matrix, shape: &[usize]| {
            let mut values = uninit(shape.iter().product());
            multiply(&mut values, a, b, false);
            Output { values, shape: shape.to_vec() }
        };
        let mut found = Vec::new();
        if wanted[0] {
            found.push(product(dy, matrix(weight), x.shape));
        }
        if wanted[1] {
            found.push(product(dy.transposed(), matrix(x), weight.shape));
        }
        if wanted[2] {
            let mut sums = vec![0.0; bias.values.len()];
            for row in gradient.values.chunks_exact(sums.len()) {
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            }
            found.push(Output { values: sums, shape: bias.shape.to_vec() });
        }
        found
    }
}

fn matrix<'a>(array: &TensorView<'a>) -> Matrix<'a> {
    Matrix::new(array.values, array.shape[1])
}
