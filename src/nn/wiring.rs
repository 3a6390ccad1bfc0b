//! The six ways to wire a block, all of them `y = t·h + c·x` (paper, Sections 3 and 5).

use serde::{Deserialize, Serialize};

/// How a block combines its new value `h` with its input `x`: `y = t·h + c·x`.
///
/// | wiring | t | c | equation |
/// |---|---|---|---|
/// | plain | 1 | 0 | Eq. 2 |
/// | residual | 1 | 1 | Eq. 5 |
/// | highway | T(x) | 1 - T(x) | Eq. 4 |
/// | full | T(x) | C(x) | Eq. 3 |
/// | t-only | T(x) | 1 | Section 5.2 |
/// | c-only | 1 | C(x) | Section 5.2 |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wiring {
    /// `y = h`
    Plain,
    /// `y = h + x`
    Residual,
    /// `y = T·h + (1 - T)·x`
    Highway,
    /// `y = T·h + C·x`
    Full,
    /// `y = T·h + x`
    TOnly,
    /// `y = h + C·x`
    COnly,
}

impl Wiring {
    /// All six wirings, in the order of the paper's tables.
    pub const ALL: [Self; 6] = [Self::Plain, Self::Residual, Self::Highway, Self::Full, Self::TOnly, Self::COnly];

    /// Whether the block has a transform gate.
    pub fn has_transform_gate(self) -> bool {
        matches!(self, Self::Highway | Self::Full | Self::TOnly)
    }

    /// Whether the block has a carry gate of its own, other than `1 - T`.
    pub fn has_carry_gate(self) -> bool {
        matches!(self, Self::Full | Self::COnly)
    }

    /// Whether the block has any learned gate.
    pub fn is_gated(self) -> bool {
        self.has_transform_gate() || self.has_carry_gate()
    }

    /// Whether the input is carried unscaled, `c = 1`. The variance of the estimates can then grow with every block.
    pub fn has_identity_carry(self) -> bool {
        matches!(self, Self::Residual | Self::TOnly)
    }

    /// Returns the residual `F = t·h + c·x - x` of one unit, so that the block is `y = x + F` (Eq. 5) for every wiring.
    pub fn residual(self, h: f32, transform: Option<f32>, carry: Option<f32>, x: f32) -> f32 {
        let t = transform.unwrap_or(1.0);
        match self {
            Self::Plain => h - x,
            Self::Residual | Self::TOnly => t * h,
            Self::Highway => t * (h - x),
            Self::Full | Self::COnly => t * h + (carry.unwrap_or(1.0) - 1.0) * x,
        }
    }

    /// Returns the name used by configuration files, help and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Residual => "residual",
            Self::Highway => "highway",
            Self::Full => "full",
            Self::TOnly => "t-only",
            Self::COnly => "c-only",
        }
    }
}

impl std::fmt::Display for Wiring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl std::str::FromStr for Wiring {
    type Err = crate::Error;

    /// # Errors
    /// [`crate::Error::Unknown`] if the name is not one of [`Wiring::ALL`].
    fn from_str(name: &str) -> crate::Result<Self> {
        Self::ALL
            .into_iter()
            .find(|w| w.name() == name)
            .ok_or_else(|| crate::Error::unknown("wiring", name, Self::ALL.map(Self::name)))
    }
}
