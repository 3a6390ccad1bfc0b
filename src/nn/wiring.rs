//! The six ways to wire a block, all of them `y = t·h + c·x` (Sections 3 and 5).

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
    /// All six, in the order of the paper's tables.
    pub const ALL: [Self; 6] = [Self::Plain, Self::Residual, Self::Highway, Self::Full, Self::TOnly, Self::COnly];

    /// Whether there is a transform gate.
    pub fn has_transform_gate(self) -> bool {
        matches!(self, Self::Highway | Self::Full | Self::TOnly)
    }

    /// Whether there is a carry gate of its own, one that is not `1 - T`.
    pub fn has_carry_gate(self) -> bool {
        matches!(self, Self::Full | Self::COnly)
    }

    /// Whether any gate is learned.
    pub fn is_gated(self) -> bool {
        self.has_transform_gate() || self.has_carry_gate()
    }

    /// Whether the input is added whole, so that the estimates' variance can grow with every block.
    pub fn carries_all(self) -> bool {
        matches!(self, Self::Residual | Self::TOnly)
    }

    /// The residual `F = t·h + c·x - x` of one unit, so that the block is `y = x + F` (Eq. 5) whatever its wiring.
    pub fn residual(self, h: f32, transform: Option<f32>, carry: Option<f32>, x: f32) -> f32 {
        let t = transform.unwrap_or(1.0);
        match self {
            Self::Plain => h - x,
            Self::Residual | Self::TOnly => t * h,
            Self::Highway => t * (h - x),
            Self::Full | Self::COnly => t * h + (carry.unwrap_or(1.0) - 1.0) * x,
        }
    }

    /// The name that configuration files, help and reports use.
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

    fn from_str(name: &str) -> crate::Result<Self> {
        Self::ALL
            .into_iter()
            .find(|w| w.name() == name)
            .ok_or_else(|| crate::Error::unknown("wiring", name, Self::ALL.map(Self::name)))
    }
}
