//! The program says of small networks what it said when `tests/unchanged/*.json` were kept: what they are made of, every
//! measurement, what is left out of them, and ten steps of their training. Nothing but the command line is used, so that
//! everything behind it can be written anew.
//!
//! Every difference is told at once, as `network/command/place in the JSON`. A difference on purpose is written down in
//! [`ADDED`] or [`CHANGED`], or kept anew, in this case all of them:
//!
//!     UNROLLED_KEEP=1 cargo test --release --test unchanged
//!
//! On the machine that kept the files floats are the same bit for bit:
//!
//!     UNROLLED_EXACT=1 cargo test --release --test unchanged
//!
//! `tests/unchanged/{mlp,full,residual,words}` are runs as `unrolled train` wrote them, without their checkpoints, trained
//! until they were far better than chance. They are kept too: weights that were trained elsewhere would be others.
//!
//! `encoder-pre` was kept again when masked positions no longer counted: every statistic of its estimates had included them.

#![cfg(feature = "onnx")]

#[path = "../unchanged/compare.rs"]
pub(crate) mod compare;
#[path = "../unchanged/program.rs"]
pub(crate) mod program;

use std::collections::BTreeSet;

use compare::{Allowed, Tolerance, differences, text, without};
use program::{Home, tests};
use serde_json::Value;

/// Keys of the outermost objects that may be new since the files were kept, each with a comment that says why.
const ADDED: &[&str] = &[
    // Of the format of documents, and what made them.
    "version", "command", // What computed the network.
    "device",  // A measurement that is new.
    "cka",
];

/// Places that may differ from what was kept, each with the reason: `("*/measure/readouts/*/linear", "fitted longer")`.
/// `*` is any one part of a place, and what is inside a place belongs to it.
const CHANGED: &[(&str, &str)] = &[
    ("*/show/stages/*/blocks/*/source_name", NAMED),
    ("*/*/outline/stages/*/blocks/*/source_name", NAMED),
    ("*/*/slimmed/outline/stages/*/blocks/*/source_name", NAMED),
    (
        "words/measure/ablation/*/resampled",
        "the other sample is of a neighbouring stream, so that streams can be shards",
    ),
    ("*/measure/estimation/*/shuffled_std", NULL_MODEL),
    ("*/measure/estimation/*/shuffled_std_over_std_of_a", NULL_MODEL),
    ("*/measure/estimation/*/std_less_shuffled", NULL_MODEL),
    ("*/measure/estimation/*/std_less_shuffled_ci95", NULL_MODEL),
];

const NULL_MODEL: &str = "the null model of convergence is new";
const NAMED: &str = "blocks tell what they are called in the file that they come from";

/// Keys whose values are times, which no two runs have in common. Paths need no such list: all that the program is
/// given is named relative to the directory that it runs in.
pub(crate) const TIMES: &[&str] = &["latency_ms", "seconds"];

/// Other instruction sets add up in another order, and round otherwise: single precision has 24 bits, and a pass through a
/// few layers loses some. Means and costs are differences of figures of about 1, so that the same error is left where they
/// are nearly 0.
const MEASURED: Tolerance = Tolerance { relative: 1e-5, absolute: 1e-6 };

/// Ten steps carry each other's rounding on.
const TRAINED: Tolerance = Tolerance { relative: 1e-4, absolute: 1e-5 };

/// A network and what the program is asked about it.
struct Case {
    /// A run in `tests/unchanged`, or a graph in `tests/onnx`.
    network: &'static str,
    samples: &'static str,
    /// What is left out by name.
    blocks: &'static str,
    /// Graphs are not trained.
    training: Option<Training>,
}

/// How a training is cut short.
#[derive(Clone, Copy)]
struct Training {
    /// So few samples that these epochs are ten steps.
    samples: &'static str,
    epochs: usize,
    /// How the network without the blocks is healed, if it is.
    healing: Option<&'static str>,
}

/// Two steps an epoch: the order of the samples changes four times, and the second batch is smaller than the first.
const IMAGES: Training = Training {
    samples: "--set data.limit=148 --set data.validation=100",
    epochs: 5,
    healing: Some("--heal-norm 64 --finetune 2"),
};

/// Five steps an epoch: memory is carried from step to step. Language models had no healing when the files were kept.
const WORDS: Training = Training { samples: "--set data.limit=175", epochs: 2, healing: None };

const CASES: [Case; 7] = [
    Case {
        network: "mlp",
        samples: "digits",
        blocks: "stage1.block2,stage1.block3",
        training: Some(Training { healing: Some("--finetune 2"), ..IMAGES }),
    },
    Case { network: "full", samples: "digits", blocks: "stage1.block2,stage2.block2", training: Some(IMAGES) },
    Case { network: "residual", samples: "digits", blocks: "stage3.block2", training: Some(IMAGES) },
    Case { network: "words", samples: "text:corpus", blocks: "stage1.block1", training: Some(WORDS) },
    Case {
        network: "highway-mlp.onnx",
        samples: "arrays:labelled.npz",
        blocks: "stage1.block3,stage1.block4",
        training: None,
    },
    Case { network: "encoder-pre.onnx", samples: "arrays:tokens.npz", blocks: "stage1.block2", training: None },
    Case { network: "post.onnx", samples: "arrays:images.npz", blocks: "stage2.block1", training: None },
];

/// What the program said: of which network, to which command, and how exact that is.
struct Said {
    network: &'static str,
    command: &'static str,
    tolerance: Tolerance,
    document: Result<Value, String>,
}

impl Case {
    /// Asks the program all that there is to ask.
    fn ask(&self, home: &Home) -> Vec<Said> {
        let Self { network, samples, blocks, training } = *self;
        let (name, form) = network.split_once('.').unwrap_or((network, "safetensors"));
        let said = |command, tolerance, document| Said { network: name, command, tolerance, document };
        let on = format!("{network} --data {samples} --limit 120 --json");
        let measured = |command, arguments: String| said(command, MEASURED, home.printed(&arguments));
        let mut all = vec![
            measured("show", format!("show {network} --json")),
            measured("measure", format!("measure {on} --seed 7 --null none")),
            measured("remove", format!("slim {on} --seed 7 --remove 1 --out {name}-slim.{form}")),
            measured("blocks", format!("slim {on} --blocks {blocks} --dry-run")),
        ];
        if let Some(Training { samples, epochs, healing }) = training {
            let steps = format!("train {network}/config.toml --out {name}-run {samples} --set train.epochs={epochs}");
            all.push(said("train", TRAINED, home.trained(&steps, &format!("{name}-run"))));
            let heal = |how| format!("slim {on} --blocks {blocks} --dry-run {how} {samples}");
            all.extend(healing.map(|how| said("heal", TRAINED, home.printed(&heal(how)))));
        }
        all
    }
}

#[test]
fn the_program_says_what_it_said() {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| value != "0");
    let (keeps, is_exact) = (is_set("UNROLLED_KEEP"), is_set("UNROLLED_EXACT"));
    let home = Home::new(&CASES.map(|case| case.network));
    let mut wrong = Vec::new();
    let mut files = BTreeSet::new();
    for said in CASES.iter().flat_map(|case| case.ask(&home)) {
        let Said { network, command, .. } = said;
        let (place, file) = (format!("{network}/{command}"), format!("{network}.{command}.json"));
        let path = tests("unchanged").join(&file);
        files.insert(file);
        match said.document.map(|document| without(document, TIMES)) {
            Err(failure) => wrong.push(format!("{place}: {failure}")),
            Ok(found) if keeps => std::fs::write(path, text(&found, 0) + "\n").unwrap(),
            Ok(found) => {
                let kept = std::fs::read_to_string(path).map_err(|e| e.to_string());
                match kept.and_then(|text| serde_json::from_str(&text).map_err(|e| e.to_string())) {
                    Err(e) => wrong.push(format!("{place}: nothing was kept to compare with: {e}")),
                    Ok(kept) => {
                        let tolerance = if is_exact { Tolerance::NONE } else { said.tolerance };
                        let allowed = Allowed { added: ADDED, changed: CHANGED };
                        wrong.extend(differences(&place, &without(kept, TIMES), &found, tolerance, &allowed));
                    }
                }
            }
        }
    }
    for file in tests("unchanged").read_dir().unwrap() {
        let name = file.unwrap().file_name().to_string_lossy().into_owned();
        if name.ends_with(".json") && !files.contains(&name) {
            wrong.push(format!("tests/unchanged/{name}: kept, but nothing is asked for it"));
        }
    }
    assert!(wrong.is_empty(), "{} differences from what was kept:\n{}", wrong.len(), wrong.join("\n"));
}
