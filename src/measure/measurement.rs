//! What a measurement is, and the list of all that this crate has.
//!
//! A measurement is one type in one file: what it looks at or which routes it follows, what it makes of that, and how
//! that is presented. [`REGISTRY`] is the only other place that names it. A program of your own adds one with
//! [`Measure::with`](super::Measure::with).

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::cost::Cost;
use super::metric::Metric;
use super::probe::{AnyProbe, Probe};
use super::score::Score;
use super::{EvalSet, Intervention, Prediction};
use crate::nn::{Outline, Route};
use crate::report::Section;
use crate::{Error, Result};

/// All measurements, in the order in which they are reported.
pub static REGISTRY: &[&dyn AnyMeasurement] = &[
    &super::Estimation,
    &super::Patches,
    &super::Lesion,
    &super::Shuffle,
    &super::Gates,
    &super::Influence,
    &super::Cka,
    &super::Gradients,
    &super::Readouts,
    &super::Ablation,
    &super::MultiLesion,
    &super::PairLesion,
    &super::Repeats,
    &super::Iteration,
    &super::Theory,
];

/// What a measurement is planned for: the network and the samples, as far as it needs to know them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scope {
    /// The network's stages and blocks.
    pub outline: Outline,
    /// The number of samples.
    pub samples: usize,
    /// The seed of all random choices.
    pub seed: u64,
    /// Whether the network knows gradients.
    pub has_gradients: bool,
    /// Whether a sample is an image.
    pub is_image: bool,
    /// Names of the classes.
    pub classes: Vec<String>,
}

/// One measurement.
pub trait Measurement: Send + Sync + 'static {
    /// What is measured; a JSON object or array. It has to be read back as it was written.
    type Output: Serialize + DeserializeOwned;
    /// What looks at activations; `()` where routes alone are followed.
    type Probe: Probe;

    /// The name on the command line and in JSON, such as `lesion`.
    const NAME: &'static str;
    /// What is measured, in one line of help.
    const ABOUT: &'static str;
    /// The keys of the output in the JSON of all measurements. If there are several, the output is a JSON object with these
    /// fields.
    const KEYS: &'static [&'static str] = &[Self::NAME];

    /// Whether its figures can arise without learning. The same network with its initial weights is then measured beside it
    /// where there is one, see [`Measure::measure_untrained`](super::Measure::measure_untrained).
    const HAS_NULL: bool = false;

    /// Returns the reason why this measurement does not apply, or `None` if it applies. The reason is printed after the
    /// network's name.
    fn why_not(&self, _scope: &Scope) -> Option<String> {
        None
    }

    /// Returns the routes to follow, each with what else is changed.
    fn routes(&self, _scope: &Scope) -> Vec<(Intervention, Route)> {
        Vec::new()
    }

    /// Returns the probe that looks at the whole network; `None` where there is nothing to look at.
    fn probe(&self, _scope: &Scope) -> Option<Self::Probe> {
        None
    }

    /// Returns what probe and analysis take.
    fn cost(&self, _scope: &Scope) -> Cost {
        Cost::default()
    }

    /// Returns what was measured. A pure function: the same observations give the same output.
    fn analyse(&self, scope: &Scope, observed: &AnalysisInput<Self::Probe>) -> Self::Output;

    /// Adds what only the samples themselves can tell, such as pictures. Without samples at hand this is left out.
    ///
    /// # Errors
    /// Where a sample cannot be read.
    fn illustrate(&self, _scope: &Scope, _output: &mut Self::Output, _data: &EvalSet) -> Result<()> {
        Ok(())
    }

    /// Returns the sentences, tables and figures of a report about one network or several.
    fn present(&self, networks: &[Presented<Self::Output>]) -> Section;
}

/// What an analysis starts from.
pub struct AnalysisInput<'a, P> {
    /// The whole network's prediction for every sample, in the data set's order.
    pub baseline: &'a [Prediction],
    /// What the probe has seen of all samples.
    pub probe: Option<P>,
    /// The predictions along each route, in the order of [`Measurement::routes`].
    pub predictions: Vec<&'a [Prediction]>,
}

/// One of the networks that a report is about.
#[derive(Clone, Debug)]
pub struct Presented<'a, T> {
    /// Its place in the report.
    pub place: usize,
    /// Its name in the report.
    pub name: &'a str,
    /// Its stages and blocks.
    pub outline: &'a Outline,
    /// The score of the whole network.
    pub baseline: &'a Score,
    /// What was measured of it.
    pub output: T,
    /// What was measured of the same network with its initial weights, once for each seed; empty where it was not.
    pub untrained: Vec<T>,
}

impl<T> Presented<'_, T> {
    /// Returns the metric of its predictions.
    pub fn metric(&self) -> Metric {
        Metric::of(self.outline)
    }
}

/// A [`Measurement`] of any type. It is implemented for all of them.
pub trait AnyMeasurement: Send + Sync {
    /// See [`Measurement::NAME`].
    fn name(&self) -> &'static str;
    /// See [`Measurement::ABOUT`].
    fn about(&self) -> &'static str;
    /// See [`Measurement::KEYS`].
    fn keys(&self) -> &'static [&'static str];
    /// See [`Measurement::HAS_NULL`].
    fn has_null(&self) -> bool;
    /// See [`Measurement::why_not`].
    fn why_not(&self, scope: &Scope) -> Option<String>;
    /// See [`Measurement::routes`].
    fn routes(&self, scope: &Scope) -> Vec<(Intervention, Route)>;
    /// See [`Measurement::probe`].
    fn probe(&self, scope: &Scope) -> Option<Box<dyn AnyProbe>>;
    /// See [`Measurement::cost`].
    fn cost(&self, scope: &Scope) -> Cost;
    /// See [`Measurement::analyse`] and [`Measurement::illustrate`].
    ///
    /// # Errors
    /// Where a sample cannot be read.
    fn analyse(
        &self,
        scope: &Scope,
        observed: AnalysisInput<Box<dyn AnyProbe>>,
        data: Option<&EvalSet>,
    ) -> Result<Value>;
    /// Checks that a JSON value is an output of this measurement.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    fn check_output(&self, output: &Value) -> std::result::Result<(), String>;
    /// See [`Measurement::present`].
    ///
    /// # Errors
    /// Where an output is none of this measurement.
    fn present(&self, networks: &[Presented<&Value>]) -> Result<Section>;
}

impl<M: Measurement> AnyMeasurement for M {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn about(&self) -> &'static str {
        M::ABOUT
    }

    fn keys(&self) -> &'static [&'static str] {
        M::KEYS
    }

    fn has_null(&self) -> bool {
        M::HAS_NULL
    }

    fn why_not(&self, scope: &Scope) -> Option<String> {
        Measurement::why_not(self, scope)
    }

    fn routes(&self, scope: &Scope) -> Vec<(Intervention, Route)> {
        Measurement::routes(self, scope)
    }

    fn probe(&self, scope: &Scope) -> Option<Box<dyn AnyProbe>> {
        Measurement::probe(self, scope).map(|probe| Box::new(probe) as Box<dyn AnyProbe>)
    }

    fn cost(&self, scope: &Scope) -> Cost {
        Measurement::cost(self, scope)
    }

    fn analyse(
        &self,
        scope: &Scope,
        observed: AnalysisInput<Box<dyn AnyProbe>>,
        data: Option<&EvalSet>,
    ) -> Result<Value> {
        let probe = observed.probe.and_then(|probe| probe.into_any().downcast::<M::Probe>().ok()).map(|probe| *probe);
        let AnalysisInput { baseline, predictions, .. } = observed;
        let mut output = Measurement::analyse(self, scope, &AnalysisInput { baseline, probe, predictions });
        if let Some(data) = data {
            self.illustrate(scope, &mut output, data)?;
        }
        serde_json::to_value(&output).map_err(|e| Error::unsupported(M::NAME, format!("the output is no JSON: {e}")))
    }

    fn check_output(&self, output: &Value) -> std::result::Result<(), String> {
        match serde_json::from_value::<M::Output>(output.clone()) {
            Ok(_) => Ok(()),
            Err(e) => Err(format!("no output of {}: {e}", M::NAME)),
        }
    }

    fn present(&self, networks: &[Presented<&Value>]) -> Result<Section> {
        let networks = networks.iter().map(typed::<M>).collect::<Result<Vec<_>>>()?;
        let section = Measurement::present(self, &networks);
        Ok(Section { name: M::NAME.into(), ..section })
    }
}

/// Reads the output of a measurement.
fn typed<'a, M: Measurement>(network: &Presented<'a, &Value>) -> Result<Presented<'a, M::Output>> {
    let &Presented { place, name, outline, baseline, output, ref untrained } = network;
    let read = |output: &Value| {
        serde_json::from_value(output.clone())
            .map_err(|e| Error::mismatch(format!("{name}, {}", M::NAME), format!("no such output: {e}")))
    };
    let untrained = untrained.iter().map(|output| read(output)).collect::<Result<Vec<_>>>()?;
    Ok(Presented { place, name, outline, baseline, output: read(output)?, untrained })
}

/// Returns the measurement of this name.
///
/// # Errors
/// [`Error::Unknown`] for a name that none has.
pub fn named(name: &str) -> Result<&'static dyn AnyMeasurement> {
    let found = REGISTRY.iter().find(|measurement| measurement.name() == name);
    found.copied().ok_or_else(|| Error::unknown("measurement", name, REGISTRY.iter().map(|m| m.name())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::example::outline;

    #[test]
    fn the_readme_lists_every_measurement_as_the_help_does() {
        let readme = include_str!("../../README.md");
        let table = readme.lines().skip_while(|line| !line.starts_with("| measurement |")).skip(2);
        let rows: Vec<&str> = table.take_while(|line| line.starts_with('|')).collect();
        assert_eq!(rows.len(), REGISTRY.len());
        for (row, measurement) in rows.iter().zip(REGISTRY) {
            let start = format!("| {} | {}", measurement.name(), measurement.about());
            let rest = row.strip_prefix(&start).unwrap_or_else(|| panic!("'{row}' begins with '{start}'"));
            assert!(rest == " |" || rest.starts_with(": "), "{row}");
        }
    }

    /// Probes that have seen nothing, and routes along which nothing was predicted.
    #[test]
    fn no_analysis_fails_without_samples() {
        for samples in [0, 8] {
            let outline = outline(&[3, 2]);
            let classes = (0..outline.classes).map(|class| class.to_string()).collect();
            let scope = Scope { outline, samples, seed: 0, has_gradients: true, is_image: true, classes };
            for measurement in REGISTRY {
                let predictions = measurement.routes(&scope).iter().map(|_| &[][..]).collect();
                let observed = AnalysisInput { baseline: &[], probe: measurement.probe(&scope), predictions };
                let output = measurement.analyse(&scope, observed, None).unwrap();
                measurement.check_output(&output).unwrap();
            }
        }
    }
}
