//! Highway and Residual networks as unrolled iterative estimation (Greff, Srivastava and Schmidhuber, ICLR 2017).

pub mod device;
mod error;
pub mod model;
pub mod nn;
pub mod random;
pub mod report;

pub use error::{Error, Result};
