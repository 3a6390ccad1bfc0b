//! The receptive field of a unit.

use serde::{Deserialize, Serialize};

use super::Window;

/// The rows of a sample that a unit depends on; the same holds for columns.
///
/// A unit in row `i` depends on `size` rows from row `start + i·jump` on. Rows outside the sample are padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceptiveField {
    /// Number of rows.
    pub size: usize,
    /// Distance between the fields of two neighbouring units, in rows of the sample.
    pub jump: usize,
    /// First row of the field of the unit in row 0; negative rows are padding.
    pub start: isize,
}

impl ReceptiveField {
    /// The field of a pixel of the sample: the pixel itself.
    pub const PIXEL: Self = Self { size: 1, jump: 1, start: 0 };

    /// Returns the field of the outputs of a convolution or pooling whose inputs have this field.
    ///
    /// The size grows by `(window.size - 1)·jump`, and the jump by the factor `window.stride`.
    #[must_use]
    pub fn after_window(self, window: Window) -> Self {
        Self {
            size: self.size + (window.size - 1) * self.jump,
            jump: self.jump * window.stride,
            start: self.start - (window.padding * self.jump) as isize,
        }
    }

    /// Returns the smallest field that contains both, as for the sum of two paths. Both must have the same jump.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        let end = |field: Self| field.start + field.size as isize;
        let start = self.start.min(other.start);
        Self { size: (end(self).max(end(other)) - start) as usize, start, ..self }
    }

    /// Returns the first row of the field of the unit in row `i`, negative in the padding.
    pub fn first_row(self, i: usize) -> isize {
        self.start + (i * self.jump) as isize
    }

    /// Returns the rows of a sample of `height` rows that lie in the field of the unit in row `i`.
    pub fn rows(self, i: usize, height: usize) -> std::ops::Range<usize> {
        let clamp = |row: isize| row.clamp(0, height as isize) as usize;
        clamp(self.first_row(i))..clamp(self.first_row(i) + self.size as isize)
    }
}
