//! Graphs slimmed: the written file computes what the planned route computes, and is otherwise the file that it was.

#![cfg(feature = "onnx")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use proptest::prelude::*;
use unrolled::data::{DataSpec, Dataset, Normalization, ResizeCrop, Split};
use unrolled::graph::GraphNetwork;
use unrolled::measure::{EvalSet, predicted_classes};
use unrolled::nn::Outline;
use unrolled::nn::{BlockId, Network, RecurrentState, Route, Samples};
use unrolled::slim::{Criterion, Goal, removable, select_blocks, verify};
use unrolled::{FileTransaction, write_atomic_checked};

use crate::proto::{
    all, branch, counted, external, field, fields, file, floats, graph, node, ones, parts, texts, truth, value,
};

/// So that fewer files do not pass.
const FIXTURES: usize = 19;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx").join(name)
}

/// All fixtures with blocks.
fn fixtures() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(fixture("")).unwrap().map(|entry| entry.unwrap().path());
    let is_graph =
        |path: &PathBuf| path.extension().is_some_and(|e| e == "onnx") && !path.to_string_lossy().contains("plain");
    let mut paths: Vec<PathBuf> = entries.filter(is_graph).collect();
    paths.sort();
    assert_eq!(paths.len(), FIXTURES);
    paths
}

fn opened(path: &Path) -> GraphNetwork {
    GraphNetwork::open(path, None, &[]).unwrap_or_else(|e| panic!("{e}"))
}

/// Random samples; tokens and masks are whole.
fn samples(network: &GraphNetwork, count: usize) -> Samples {
    let size: usize = network.inputs().iter().map(|input| input.shape.iter().product::<usize>()).sum();
    let is_integer = |place: usize| {
        let mut end = 0;
        network
            .inputs()
            .iter()
            .find(|input| {
                end += input.shape.iter().product::<usize>();
                place < end
            })
            .is_some_and(|input| input.is_integer)
    };
    // Any numbers will do that are not alike.
    let value = |i: usize| {
        let hash = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        if is_integer(i % size) { (hash % 2) as f32 } else { hash as f32 / (1 << 23) as f32 - 1.0 }
    };
    Samples { values: (0..count * size).map(value).collect(), shape: [count, 1, 1, size] }
}

fn bits(network: &GraphNetwork, route: &Route, samples: &Samples) -> Vec<u32> {
    network
        .forward_along(route, samples, &mut RecurrentState::default())
        .unwrap()
        .values
        .iter()
        .map(|z| z.to_bits())
        .collect()
}

fn identity(network: &GraphNetwork) -> Route {
    Route::identity(network.outline())
}

/// Writes and opens again.
fn written(slim: &GraphNetwork, out: &Path) -> GraphNetwork {
    let draft = slim.draft(&out.file_name().unwrap().to_string_lossy()).unwrap();
    write_atomic_checked(out, &draft, |inside| slim.reopen(inside)).unwrap_or_else(|e| panic!("{e}"));
    slim.reopen(out).unwrap()
}

/// A route that leaves out the blocks that `draw` says, and of each stage the last only if it has another.
fn route(network: &GraphNetwork, draw: u32) -> (Route, Vec<BlockId>) {
    let mut removed = Vec::new();
    let mut route = identity(network);
    for (place, at) in removable(network).0.into_iter().enumerate() {
        if draw >> (place % 32) & 1 == 1 && route.stages()[at.stage].len() > 1 {
            route = route.without_block(at);
            removed.push(at);
        }
    }
    (route, removed)
}

fn blocks(outline: &Outline) -> usize {
    outline.stages.iter().map(|stage| stage.blocks.len()).sum()
}

/// Names of the arrays of a file.
fn arrays(file: &[u8]) -> BTreeSet<String> {
    all(&graph(file), 5).iter().flat_map(|array| texts(array, 8)).collect()
}

/// All that nodes of a file take.
fn taken(file: &[u8]) -> BTreeSet<String> {
    all(&graph(file), 1).iter().flat_map(|node| texts(node, 1)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// For random routes along every fixture: file, plan and route answer alike, bit for bit.
    #[test]
    fn the_file_computes_what_the_route_computes(draw in any::<u32>(), place in 0..FIXTURES) {
        let path = &fixtures()[place];
        let network = opened(path);
        let (route, removed) = route(&network, draw);
        let slim = network.slimmed(&route).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("slim.onnx");
        let again = written(&slim, &out);
        let samples = samples(&network, 3);
        let expected = bits(&network, &route, &samples);
        prop_assert_eq!(&bits(&slim, &identity(&slim), &samples), &expected, "planned {}: {}", path.display(), route);
        prop_assert_eq!(&bits(&again, &identity(&again), &samples), &expected, "{}: {}", path.display(), route);
        prop_assert_eq!(blocks(again.outline()), blocks(network.outline()) - removed.len());
        // Whoever knows nothing of the plan finds a network that answers so too.
        if let Ok(found) = GraphNetwork::open(&out, None, &[]) {
            prop_assert_eq!(&bits(&found, &identity(&found), &samples), &expected);
        }
        let (old, new) = (std::fs::read(path).unwrap(), std::fs::read(&out).unwrap());
        check_the_rest(&old, &new);
        if removed.is_empty() {
            prop_assert_eq!(old, new);
        }
    }
}

/// A graph of blocks of these sorts, with what follows every sum, and every estimate passed on under another name or
/// given out, where that is asked for.
fn drawn(sorts: &[u8], after: u8, renames: bool, gives: bool) -> Vec<u8> {
    let mut all = vec![(2, b"drawn".to_vec()), (11, value("x", &[3])), (12, value("y", &[3]))];
    let mut count = 0;
    let mut matrix = |all: &mut Vec<(u64, Vec<u8>)>, sides: &[usize]| {
        count += 1;
        let name = format!("w{count}");
        let values =
            (0..sides.iter().product()).map(|i| ((i * 7 + count * 5) % 11) as f32 / 8.0 - 0.6).collect::<Vec<f32>>();
        all.push((5, floats(&name, sides, &values)));
        name
    };
    let mut names = 0;
    let mut add = |all: &mut Vec<(u64, Vec<u8>)>, op: &str, takes: &[&str]| {
        names += 1;
        let name = format!("v{names}");
        all.push((1, node(op, takes, &[&name], &[])));
        name
    };
    all.push((5, floats("one", &[1], &[1.0])));
    let (mut width, stem) = (4, matrix(&mut all, &[3, 4]));
    let mut x = add(&mut all, "MatMul", &["x", &stem]);
    for &sort in sorts {
        let wide = if sort == 3 { width + 2 } else { width };
        // What stands before a stage.
        if sort == 4 {
            let square = matrix(&mut all, &[width, width]);
            x = add(&mut all, "MatMul", &[&x, &square]);
        }
        let w = matrix(&mut all, &[width, wide]);
        let product = add(&mut all, "MatMul", &[&x, &w]);
        let h = add(&mut all, "Relu", &[&product]);
        let other = matrix(&mut all, &[width, wide]);
        let sum = match sort {
            // t·h + (1 - t)·x
            1 => {
                let product = add(&mut all, "MatMul", &[&x, &other]);
                let t = add(&mut all, "Sigmoid", &[&product]);
                let c = add(&mut all, "Sub", &["one", &t]);
                let [new, carried] = [add(&mut all, "Mul", &[&t, &h]), add(&mut all, "Mul", &[&c, &x])];
                add(&mut all, "Add", &[&new, &carried])
            }
            // x + f(x) + g(x)
            2 => {
                let product = add(&mut all, "MatMul", &[&x, &other]);
                let both = add(&mut all, "Add", &[&x, &h]);
                add(&mut all, "Add", &[&both, &product])
            }
            // P·x + g(f(x)), wider
            3 => {
                let carried = add(&mut all, "MatMul", &[&x, &other]);
                let deep = matrix(&mut all, &[wide, wide]);
                let deep = add(&mut all, "MatMul", &[&h, &deep]);
                add(&mut all, "Add", &[&deep, &carried])
            }
            // x + f(x)
            _ => add(&mut all, "Add", &[&h, &x]),
        };
        width = wide;
        x = match after {
            0 => sum,
            1 => add(&mut all, "Relu", &[&sum]),
            _ => {
                let (scale, shift) = (matrix(&mut all, &[width]), matrix(&mut all, &[width]));
                add(&mut all, "LayerNormalization", &[&sum, &scale, &shift])
            }
        };
        if gives {
            all.push((12, value(&x, &[width])));
        }
        if renames {
            x = add(&mut all, "Identity", &[&x]);
        }
    }
    let head = matrix(&mut all, &[width, 3]);
    all.push((1, node("MatMul", &[&x, &head], &["y"], &[])));
    file(&parts(&all))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// The same for graphs of all sorts of blocks.
    #[test]
    fn drawn_graphs_compute_what_their_routes_compute(
        sorts in prop::collection::vec(0..5_u8, 2..7),
        after in 0..3_u8,
        renames in any::<bool>(),
        gives in any::<bool>(),
        draw in any::<u32>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (path, out) = (dir.path().join("whole.onnx"), dir.path().join("slim.onnx"));
        let whole = drawn(&sorts, after, renames, gives);
        std::fs::write(&path, &whole).unwrap();
        let network = opened(&path);
        prop_assert_eq!(blocks(network.outline()), sorts.len());
        let (route, removed) = route(&network, draw);
        let slim = network.slimmed(&route).unwrap();
        let again = written(&slim, &out);
        let samples = samples(&network, 3);
        let expected = bits(&network, &route, &samples);
        prop_assert_eq!(&bits(&slim, &identity(&slim), &samples), &expected);
        prop_assert_eq!(&bits(&again, &identity(&again), &samples), &expected);
        prop_assert_eq!(again.outline().parameters < network.outline().parameters, !removed.is_empty());
        let new = std::fs::read(&out).unwrap();
        check_the_rest(&whole, &new);
        let outputs = |file: &[u8]| all(&graph(file), 12);
        prop_assert_eq!(outputs(&new), outputs(&whole));
    }
}

/// All of a file but what goes is as it was: fields, their order, and of nodes all but names that they take.
fn check_the_rest(old: &[u8], new: &[u8]) {
    let but = |bytes: &[u8], numbers: &[u64]| {
        fields(bytes).into_iter().filter(|(number, _)| !numbers.contains(number)).collect::<Vec<_>>()
    };
    assert_eq!(but(old, &[7]), but(new, &[7]));
    let (old_graph, new_graph) = (graph(old), graph(new));
    assert_eq!(but(&old_graph, &[1, 5, 11, 13, 14]), but(&new_graph, &[1, 5, 11, 13, 14]));
    for number in [1, 5, 11, 13] {
        let mut old = all(&old_graph, number).into_iter();
        for new in all(&new_graph, number) {
            let same = |old: &Vec<u8>| if number == 1 { but(old, &[1]) == but(&new, &[1]) } else { *old == new };
            let is_added = number == 1 && texts(&new, 4) == ["Identity"];
            assert!(is_added || old.any(|old| same(&old)), "field {number} of the graph is in another order, or new");
        }
    }
    let (given, taken) = (arrays(new), taken(new));
    let were_taken = self::taken(old);
    assert!(given.iter().all(|name| taken.contains(name) || !were_taken.contains(name)), "an array that nobody takes");
}

#[test]
fn parameters_and_operations_are_those_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    for path in fixtures() {
        let network = opened(&path);
        let (route, removed) = route(&network, u32::MAX);
        assert!(!removed.is_empty(), "{}", path.display());
        let slim = network.slimmed(&route).unwrap();
        // Opened again it is compared with the outline that was planned, costs included.
        let again = written(&slim, &dir.path().join("slim.onnx"));
        assert!(again.outline().parameters < network.outline().parameters, "{}", path.display());
        assert!(again.outline().flops < network.outline().flops);
        assert_eq!(slim.node_count(), again.node_count());
        // Without any of it gone the file is what it was.
        let out = dir.path().join("whole.onnx");
        write_atomic_checked(&out, &network.draft("whole.onnx").unwrap(), |_| Ok(())).unwrap();
        assert_eq!(std::fs::read(&out).unwrap(), std::fs::read(&path).unwrap());
    }
}

/// What is left of a ResNet is a ResNet: the file opens with the blocks that were kept in the stages that they were in.
#[test]
fn a_slimmed_resnet_opens_as_one() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["post.onnx", "post.script.onnx", "pre.onnx", "pre.script.onnx"] {
        let network = opened(&fixture(name));
        let route = Route::parse("1 / 1,3", network.outline()).unwrap();
        let out = dir.path().join(name);
        let slim = network.slimmed(&route).unwrap();
        // What is removed is known by the file that was opened.
        let message = slim.slimmed(&identity(&slim)).err().unwrap().to_string();
        assert!(message.ends_with("remove all blocks at once, or write the file and open it"), "{message}");
        let again = written(&slim, &out);
        let found = opened(&out);
        assert_eq!(found.outline(), again.outline());
        assert_eq!(found.outline().stages.iter().map(|s| s.blocks.len()).collect::<Vec<_>>(), [1, 2]);
    }
}

/// `x + relu(x·w)` a block, three of them, with what else a graph may have; `edit` changes its parts.
fn line(edit: impl FnOnce(&mut Vec<(u64, Vec<u8>)>)) -> Vec<u8> {
    let square = |seed: usize| (0..9).map(|i| ((i * 7 + seed * 5) % 11) as f32 / 8.0 - 0.5).collect::<Vec<f32>>();
    let mut all = vec![(1, node("MatMul", &["x", "w0"], &["a0"], &[]))];
    for k in 1..=3 {
        let [w, m, h, before, after] =
            [format!("w{k}"), format!("m{k}"), format!("h{k}"), format!("a{}", k - 1), format!("a{k}")];
        all.push((1, node("MatMul", &[&before, &w], &[&m], &[])));
        all.push((1, node("Relu", &[&m], &[&h], &[])));
        all.push((1, node("Add", &[&h, &before], &[&after], &[])));
    }
    all.push((1, node("MatMul", &["a3", "head"], &["y"], &[])));
    all.push((2, b"line".to_vec()));
    for k in 0..=3 {
        all.push((5, floats(&format!("w{k}"), &[3, 3], &square(k))));
    }
    all.push((5, floats("head", &[3, 3], &square(9))));
    all.push((10, b"a line of blocks".to_vec()));
    all.push((11, value("x", &[3])));
    all.push((12, value("y", &[3])));
    for k in 1..=3 {
        all.push((13, value(&format!("h{k}"), &[3])));
        all.push((13, value(&format!("a{k}"), &[3])));
    }
    edit(&mut all);
    file(&parts(&all))
}

/// Slims a file by a route, checks that it answers as the route does, and gives the new bytes.
fn slimmed(dir: &Path, bytes: &[u8], route: &str) -> Result<Vec<u8>, String> {
    let path = dir.join("whole.onnx");
    std::fs::write(&path, bytes).unwrap();
    let network = GraphNetwork::open(&path, None, &[]).map_err(|e| e.to_string())?;
    let route = Route::parse(route, network.outline()).unwrap();
    let out = dir.join("slim.onnx");
    let slim = network.slimmed(&route).map_err(|e| e.to_string())?;
    let draft = slim.draft("slim.onnx").map_err(|e| e.to_string())?;
    let _ = std::fs::remove_file(dir.join("slim.onnx.data"));
    let samples = samples(&network, 2);
    let again = write_atomic_checked(&out, &draft, |inside| slim.reopen(inside)).map_err(|e| e.to_string())?;
    let answers = bits(&again, &identity(&again), &samples);
    assert_eq!(answers, bits(&network, &route, &samples));
    assert!(answers.iter().any(|bits| f32::from_bits(*bits) != 0.0), "zeros are alike whatever runs");
    assert_eq!(draft.length(), slim.draft("slim.onnx").unwrap().length());
    Ok(std::fs::read(out).unwrap())
}

/// The bytes that would be written, which nobody opens.
fn drafted(dir: &Path, bytes: &[u8], route: &str) -> Result<Vec<u8>, String> {
    let path = dir.join("whole.onnx");
    std::fs::write(&path, bytes).unwrap();
    let network = opened(&path);
    let slim = network.slimmed(&Route::parse(route, network.outline()).unwrap()).unwrap();
    let draft = slim.draft("slim.onnx").map_err(|e| e.to_string())?;
    write_atomic_checked(&dir.join("slim.onnx"), &draft, |inside| Ok(std::fs::read(inside).unwrap()))
        .map_err(|e| e.to_string())
}

#[test]
fn what_goes_is_the_block_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let whole = line(|_| ());
    let slim = slimmed(dir.path(), &whole, "1,3").unwrap();
    let expected = line(|all| {
        let gone = ["w2", "m2", "h2", "a2"].map(str::as_bytes);
        let names = |number: u64, bytes: &[u8]| match number {
            1 => self::all(bytes, 3),
            5 => self::all(bytes, 8),
            13 => self::all(bytes, 1),
            _ => Vec::new(),
        };
        all.retain(|(number, bytes)| !names(*number, bytes).iter().any(|name| gone.contains(&name.as_slice())));
        for (_, bytes) in all.iter_mut().filter(|(number, _)| *number == 1) {
            let renamed = |(number, value): (u64, Vec<u8>)| match (number, value.as_slice()) {
                (1, b"a2") => field(1, b"a1"),
                _ => field(number, &value),
            };
            *bytes = fields(bytes).into_iter().flat_map(renamed).collect();
        }
    });
    assert_eq!(slim, expected);
}

#[test]
fn an_output_keeps_its_name_when_its_block_goes() {
    let dir = tempfile::tempdir().unwrap();
    let whole = line(|all| all.push((12, value("a2", &[3]))));
    let slim = slimmed(dir.path(), &whole, "1,3").unwrap();
    let outputs: Vec<String> = all(&graph(&slim), 12).iter().flat_map(|output| texts(output, 1)).collect();
    assert_eq!(outputs, ["y", "a2"]);
    let nodes = all(&graph(&slim), 1);
    let giver = nodes.iter().find(|node| texts(node, 2) == ["a2"]).unwrap();
    assert_eq!((texts(giver, 1), texts(giver, 4)), (vec!["a1".to_owned()], vec!["Identity".to_owned()]));
    // A value that is given nowhere any more is declared nowhere.
    assert!(!all(&graph(&slim), 13).iter().any(|value| texts(value, 1) == ["h2"]));
}

#[test]
fn a_block_that_gives_an_output_stays() {
    let dir = tempfile::tempdir().unwrap();
    let message = slimmed(dir.path(), &line(|all| all.push((12, value("h2", &[3])))), "1,3").unwrap_err();
    assert_eq!(
        message,
        "stage1.block2: cannot be left out for good: a node outside the blocks uses the output of MatMul 'm2'"
    );
    let path = dir.path().join("whole.onnx");
    assert_eq!(removable(&opened(&path)).0.len(), 2);
}

#[test]
fn old_files_list_their_arrays_among_their_inputs() {
    let dir = tempfile::tempdir().unwrap();
    let whole = line(|all| (0..=3).for_each(|k| all.push((11, value(&format!("w{k}"), &[3])))));
    let slim = slimmed(dir.path(), &whole, "1,3").unwrap();
    let inputs: Vec<String> = all(&graph(&slim), 11).iter().flat_map(|input| texts(input, 1)).collect();
    assert_eq!(inputs, ["x", "w0", "w1", "w3"]);
}

#[test]
fn what_is_shared_stays_and_what_nobody_needed_stays_where_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let whole = line(|all| {
        // The second and third block share a weight; two nodes lead nowhere, one of them from within the second block.
        all[7] = (1, node("MatMul", &["a2", "w2"], &["m3"], &[]));
        all.push((1, node("Relu", &["a1"], &["idle"], &[])));
        all.push((1, node("Relu", &["h2"], &["cut"], &[])));
        all.push((1, node("Relu", &["a2"], &["moved"], &[])));
        all.push((14, [field(1, b"h2"), field(2, &[field(1, b"SCALE_TENSOR"), field(2, b"s2")].concat())].concat()));
        all.push((14, [field(1, b"h3"), field(2, &[field(1, b"SCALE_TENSOR"), field(2, b"s3")].concat())].concat()));
        ["s2", "s3", "never"].into_iter().for_each(|name| all.push((5, floats(name, &[1], &[1.0]))));
    });
    let slim = slimmed(dir.path(), &whole, "1,3").unwrap();
    let names: Vec<String> = all(&graph(&slim), 1).iter().flat_map(|node| texts(node, 2)).collect();
    assert_eq!(names, ["a0", "m1", "h1", "a1", "m3", "h3", "a3", "y", "idle", "moved"]);
    let kept: Vec<String> = arrays(&slim).into_iter().collect();
    assert_eq!(kept, ["head", "never", "s3", "w0", "w1", "w2", "w3"]);
    assert_eq!(all(&graph(&slim), 14).len(), 1);
}

/// A choice in the third block whose branches take values from around them: this one, and the product of the block.
fn choosing(all: &mut Vec<(u64, Vec<u8>)>, then: &[u8], other: &[u8]) {
    all.push((5, truth("yes", true)));
    // In the place of the third block's ReLU.
    let branches = [branch("then_branch", then), branch("else_branch", other)];
    all[8] = (1, node("If", &["yes"], &["chosen"], &branches));
    all[9] = (1, node("Add", &["chosen", "a2"], &["a3"], &[]));
}

/// A graph of one node that takes a value from around it.
fn single(op: &str, takes: &str) -> Vec<u8> {
    parts(&[(1, node(op, &[takes], &["given"], &[])), (2, b"branch".to_vec()), (12, value("given", &[3]))])
}

#[test]
fn graphs_in_nodes_take_what_stands_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let whole = line(|all| choosing(all, &single("Sigmoid", "a2"), &single("Relu", "m3")));
    slimmed(dir.path(), &whole, "1-2").unwrap();
    let slim = slimmed(dir.path(), &whole, "1,3").unwrap();
    let choice = all(&graph(&slim), 1).into_iter().find(|node| texts(node, 4) == ["If"]).unwrap();
    let branches = all(&choice, 5).into_iter().flat_map(|attribute| all(&attribute, 6));
    let taken: Vec<String> = branches.flat_map(|branch| all(&branch, 1)).flat_map(|node| texts(&node, 1)).collect();
    assert_eq!(taken, ["a1", "m3"]);
    // What a branch calls so itself is its own.
    let own = parts(&[(1, node("Sigmoid", &["m3"], &["a2"], &[])), (12, value("a2", &[3]))]);
    let whole = line(|all| choosing(all, &own, &single("Relu", "m3")));
    assert!(drafted(dir.path(), &whole, "1,3").unwrap().windows(own.len()).any(|bytes| bytes == own));
}

#[test]
fn graphs_in_nodes_that_nothing_can_be_put_into_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("whole.onnx").display().to_string();
    // A branch that gives the value itself, of a choice that nobody needs: the engine would refuse any other.
    let given = parts(&[(12, value("a2", &[3]))]);
    let choice = node("If", &["yes"], &["idle"], &[branch("then_branch", &given), branch("else_branch", &given)]);
    let whole = line(|all| {
        all.push((5, truth("yes", true)));
        all.push((1, choice));
    });
    assert_eq!(
        drafted(dir.path(), &whole, "1,3").unwrap_err(),
        format!("{path}: a graph in a node gives 'a2' from around it, which is left out")
    );
    // A branch of a branch.
    let deep = single("Relu", "m3");
    let inner = node("If", &["yes"], &["given"], &[branch("then_branch", &deep), branch("else_branch", &deep)]);
    let then = parts(&[(1, inner), (12, value("given", &[3]))]);
    let whole = line(|all| choosing(all, &then, &single("Relu", "m3")));
    assert_eq!(
        slimmed(dir.path(), &whole, "1,3").unwrap_err(),
        format!("{path}: a graph within a graph in a node takes 'm3' from around both")
    );
}

/// The weights of the line in files beside it: two in one, two that share their bytes, and one alone.
fn beside(dir: &Path, edit: impl Fn(&str) -> Vec<(&'static str, String)>) -> Vec<u8> {
    let square = |seed: usize| (0..9).flat_map(move |i| (((i * 7 + seed * 5) % 11) as f32 / 8.0 - 0.5).to_le_bytes());
    let one: Vec<u8> = [0_u8; 8].into_iter().chain(square(0)).chain(square(1)).collect();
    std::fs::write(dir.join("one.data"), one).unwrap();
    std::fs::write(dir.join("two.data"), square(2).chain(square(3)).collect::<Vec<u8>>()).unwrap();
    line(|all| {
        for (number, bytes) in all.iter_mut().filter(|(number, _)| *number == 5) {
            assert_eq!(*number, 5);
            let name = texts(bytes, 8).remove(0);
            let place = edit(&name);
            if !place.is_empty() {
                let place: Vec<(&str, &str)> = place.iter().map(|(key, value)| (*key, value.as_str())).collect();
                *bytes = external(&name, &[3, 3], &place);
            }
        }
    })
}

fn places(name: &str) -> Vec<(&'static str, String)> {
    let place = |location: &str, offset: usize| {
        vec![
            ("location", location.to_owned()),
            ("offset", offset.to_string()),
            ("length", "36".into()),
            ("checksum", "00".into()),
        ]
    };
    match name {
        "w0" => place("one.data", 8),
        "w1" => place("one.data", 44),
        "w2" => place("two.data", 0),
        "w3" => place("two.data", 36),
        _ => Vec::new(),
    }
}

#[test]
fn arrays_beside_the_graph_move_to_a_file_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let whole = beside(dir.path(), places);
    let before = ["one.data", "two.data"].map(|name| std::fs::read(dir.path().join(name)).unwrap());
    let slim = slimmed(dir.path(), &whole, "1,3").unwrap();
    assert_eq!(before, ["one.data", "two.data"].map(|name| std::fs::read(dir.path().join(name)).unwrap()));
    // Three arrays are left, each at the beginning of a page.
    let data = std::fs::read(dir.path().join("slim.onnx.data")).unwrap();
    assert_eq!(data.len(), 2 * 4096 + 36);
    assert_eq!(
        (&data[..36], &data[4096..4132], &data[8192..]),
        (&before[0][8..44], &before[0][44..], &before[1][36..])
    );
    for array in all(&graph(&slim), 5).iter().filter(|array| !all(array, 13).is_empty()) {
        let keys: Vec<String> = all(array, 13).iter().flat_map(|pair| texts(pair, 1)).collect();
        assert_eq!(keys, ["location", "offset", "length"]);
        assert!(all(array, 13).iter().any(|pair| texts(pair, 2) == ["slim.onnx.data"]));
    }
    // In a directory of its own it still opens, and slims again.
    let other = tempfile::tempdir().unwrap();
    for name in ["slim.onnx", "slim.onnx.data"] {
        std::fs::copy(dir.path().join(name), other.path().join(name)).unwrap();
    }
    let found = opened(&other.path().join("slim.onnx"));
    assert_eq!(blocks(found.outline()), 2);
    let route = Route::parse("2", found.outline()).unwrap();
    let again = written(&found.slimmed(&route).unwrap(), &other.path().join("again.onnx"));
    let samples = samples(&found, 2);
    assert_eq!(bits(&again, &identity(&again), &samples), bits(&found, &route, &samples));
}

/// The graph and the file beside it are written in one act: a kill between their moves leaves the rest to whoever writes next.
#[test]
fn a_kill_between_the_two_files_leaves_neither_alone() {
    let dir = tempfile::tempdir().unwrap();
    let whole = beside(dir.path(), places);
    let written = slimmed(dir.path(), &whole, "1,3").unwrap();
    let out = dir.path().join("slim.onnx");
    let ready = dir.path().join(".whole-0123abcd-slim.onnx.ready");
    std::fs::create_dir_all(ready.join("files")).unwrap();
    std::fs::write(ready.join("removed.json"), "[]").unwrap();
    std::fs::rename(&out, ready.join("files/slim.onnx")).unwrap();
    drop(FileTransaction::of_file(&out).unwrap());
    assert_eq!(std::fs::read(&out).unwrap(), written);
    assert_eq!(blocks(opened(&out).outline()), 2);
    assert!(!ready.exists());
}

#[test]
fn arrays_that_are_not_where_they_should_be_are_named() {
    let dir = tempfile::tempdir().unwrap();
    type Places = Vec<(&'static str, String)>;
    let says = |name: &'static str, key: &'static str, text: &'static str| {
        let edit = |array: &str| -> Places {
            let mut all = places(array);
            if array == name {
                all.retain(|(other, _)| *other != key);
                all.extend((!text.is_empty()).then(|| (key, text.to_owned())));
            }
            all
        };
        slimmed(dir.path(), &beside(dir.path(), edit), "1,3").unwrap_err()
    };
    for (name, key, text) in [
        ("w1", "location", "../one.data"),
        ("w1", "location", "/etc/passwd"),
        ("w1", "location", "three.data"),
        ("w1", "location", ""),
        ("w1", "offset", "60"),
        ("w1", "offset", "18446744073709551615"),
        ("w1", "offset", "-1"),
        ("w1", "length", "35"),
        ("w1", "length", "99999999999999999999"),
    ] {
        let message = says(name, key, text);
        assert!(message.starts_with(&dir.path().display().to_string()) && !message.contains('\n'), "{message}");
        assert!(!dir.path().join("slim.onnx").exists(), "{key} {text}");
    }
}

/// Where nothing says how long an array is, its shape does.
#[test]
fn a_place_may_be_a_file_alone() {
    let dir = tempfile::tempdir().unwrap();
    let whole = beside(dir.path(), |name| {
        let mut place = places(name);
        place.retain(|(key, _)| *key == "location" || *key == "offset");
        place
    });
    match slimmed(dir.path(), &whole, "1,3") {
        Ok(_) => assert_eq!(std::fs::metadata(dir.path().join("slim.onnx.data")).unwrap().len(), 2 * 4096 + 36),
        Err(message) => assert!(!message.contains('\n'), "{message}"),
    }
}

#[test]
fn what_cannot_be_written_again_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("whole.onnx").display().to_string();
    let training = [line(|_| ()), field(20, b"")].concat();
    assert_eq!(
        slimmed(dir.path(), &training, "1,3").unwrap_err(),
        format!("{path}: it says how to train its graph, and would not fit it any more")
    );
    let twice = [line(|_| ()), field(7, &graph(&line(|_| ())))].concat();
    assert_eq!(slimmed(dir.path(), &twice, "1,3").unwrap_err(), format!("{path}: 2 graphs in one file"));
    for (route, message) in [
        ("-", "stage1: would be left without blocks"),
        ("1,3,2", "route 1,3,2: a graph can be written with its blocks in their order, each once"),
        ("1,2,2", "route 1-2,2: a graph can be written with its blocks in their order, each once"),
    ] {
        assert_eq!(slimmed(dir.path(), &line(|_| ()), route).unwrap_err(), message);
    }
}

/// A network whose file was made another one since is not written.
#[test]
fn a_file_that_changed_proves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("whole.onnx");
    std::fs::write(&path, line(|_| ())).unwrap();
    let network = opened(&path);
    let changed = line(|all| {
        let last = all.iter_mut().rfind(|(number, bytes)| *number == 5 && texts(bytes, 8) == ["head"]).unwrap();
        last.1 = floats("head", &[3, 3], &[0.25; 9]);
    });
    std::fs::write(&path, changed).unwrap();
    let source = source(dir.path(), &network, 4);
    let out = dir.path().join("slim.onnx");
    let route = Route::parse("1,3", network.outline()).unwrap();
    let error =
        verify(&network, &route, &source, |_| Ok(Vec::new()), Some((&out).into()), &mut |_, _, _| ()).unwrap_err();
    let expected =
        format!("{}: opened again: what was written and what was to be written answer differently", out.display());
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert!(!out.exists());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Of a file with a bit flipped, or cut off, whatever still opens is slimmed and written or refused in one line.
    #[test]
    fn damaged_files_are_written_or_refused(cut in any::<bool>(), place in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = beside(dir.path(), |name| if name == "w1" { places(name) } else { Vec::new() });
        let place = place.index(bytes.len());
        if cut { bytes.truncate(place) } else { bytes[place] ^= 1 << bit }
        let path = dir.path().join("whole.onnx");
        std::fs::write(&path, &bytes).unwrap();
        let Ok(network) = GraphNetwork::open(&path, None, &[]) else { return Ok(()) };
        let (route, removed) = route(&network, 1);
        let slim = network.slimmed(&route).unwrap();
        let drafted = slim.draft("slim.onnx");
        let again = drafted.and_then(|draft| {
            write_atomic_checked(&dir.path().join("slim.onnx"), &draft, |inside| slim.reopen(inside))
        });
        match again {
            Ok(again) => prop_assert_eq!(blocks(again.outline()), blocks(network.outline()) - removed.len()),
            Err(error) => {
                let message = error.to_string();
                prop_assert!(!message.contains('\n') && message.len() < 1000, "{}", message);
            }
        }
    }
}

/// Samples without labels in a file, labelled with what the network says.
fn source(dir: &Path, network: &GraphNetwork, count: usize) -> EvalSet {
    let path = dir.join("x.npy");
    let samples = samples(network, count);
    std::fs::write(&path, crate::npz::npy(&(vec![count, samples.shape[3]], samples.values))).unwrap();
    let spec: DataSpec = format!("arrays:{}", path.display()).parse().unwrap();
    let names: Vec<String> = network.inputs().iter().map(|input| input.name.clone()).collect();
    let open = || Dataset::open(&spec, Split::Test, &ResizeCrop::default()).unwrap().reorder_arrays(&names).unwrap();
    let labelled = |labels| {
        let dataset = open().with_labels(labels, network.outline().classes).unwrap();
        EvalSet::new(Arc::new(dataset), Normalization::uniform(0.0, 1.0), 2)
    };
    let predictions = predicted_classes(network, &labelled(vec![0; count])).unwrap();
    labelled(predictions)
}

/// Without labels accuracy is agreement with the whole network, and loss divergence from it.
#[test]
fn without_labels_agreement_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("whole.onnx");
    std::fs::write(&path, line(|_| ())).unwrap();
    let network = opened(&path);
    let source = source(dir.path(), &network, 12);
    assert!(!source.dataset.is_labelled());
    let choice =
        select_blocks(&network, &source, Criterion::Greedy, Some(Goal::KeepAccuracy(60.0)), 0, &mut |_, _, _| ())
            .unwrap();
    assert_eq!((choice.chosen.baseline.accuracy, choice.chosen.baseline.loss), (1.0, 0.0));
    assert!(choice.chosen.curve.iter().all(|removal| removal.score.accuracy >= 0.4 - 1e-9));
    let (route, _) = route(&network, 2);
    let out = dir.path().join("slim.onnx");
    let proved = verify(&network, &route, &source, |_| Ok(Vec::new()), Some((&out).into()), &mut |_, _, _| ()).unwrap();
    assert_eq!((proved.whole.accuracy, proved.whole.loss), (1.0, 0.0));
    assert!(proved.versions[0].lesion.score.loss > 0.0);
    assert_eq!(proved.before.bytes, std::fs::metadata(&path).unwrap().len());
    assert_eq!(proved.after.bytes, std::fs::metadata(&out).unwrap().len());
    assert_eq!(proved.before.parameters - proved.after.parameters, 9);
}

/// The inputs of a network as arrays of their own.
fn inputs(network: &GraphNetwork, samples: &Samples) -> Vec<(String, crate::npz::Array)> {
    let (count, size) = (samples.shape[0], samples.shape[3]);
    let mut from = 0;
    let split = |input: &unrolled::graph::GraphInput| {
        let own: usize = input.shape.iter().product();
        let values = samples.values.chunks(size).flat_map(|row| row[from..from + own].to_vec()).collect();
        from += own;
        (input.name.clone(), ([vec![count], input.shape.clone()].concat(), values))
    };
    network.inputs().iter().map(split).collect()
}

/// A Python that can check: the one that `UNROLLED_PYTHON` names, or the usual one.
fn python() -> Option<String> {
    let named = std::env::var("UNROLLED_PYTHON").ok();
    let python = named.clone().unwrap_or_else(|| "python3".into());
    let found = Command::new(&python).args(["-c", "import numpy, onnx, onnxruntime"]).output();
    let can = found.is_ok_and(|output| output.status.success());
    assert!(can || named.is_none(), "UNROLLED_PYTHON: {python} has no onnx or no onnxruntime");
    can.then_some(python)
}

/// Others accept the files, and compute what we compute.
#[test]
fn onnx_runtime_answers_as_we_do() {
    let Some(python) = python() else {
        println!("skipped: no Python with onnx and onnxruntime; UNROLLED_PYTHON names one");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    let mut slim = |network: GraphNetwork, route: Route, name: &str| {
        let out = dir.path().join(name);
        let slim = written(&network.slimmed(&route).unwrap(), &out);
        let samples = samples(&network, 3);
        let logits = slim.forward_along(&identity(&slim), &samples, &mut RecurrentState::default()).unwrap();
        let arrays = inputs(&slim, &samples);
        let shape =
            if logits.positions > 1 { vec![3, logits.positions, logits.classes] } else { vec![3, logits.classes] };
        let answers = (shape, logits.values);
        let all = arrays.iter().map(|(name, array)| (name.as_str(), array.clone())).chain([("logits", answers)]);
        crate::npz::write(&out.with_extension("npz"), all);
        files.push(out);
    };
    for path in fixtures() {
        let network = opened(&path);
        let (route, _) = route(&network, u32::MAX);
        slim(network, route, &path.file_name().unwrap().to_string_lossy());
    }
    let whole = dir.path().join("whole.onnx");
    let cases = [
        ("far.onnx", beside(dir.path(), places)),
        ("output.onnx", line(|all| all.push((12, value("a2", &[3]))))),
        ("choice.onnx", line(|all| choosing(all, &single("Sigmoid", "a2"), &single("Relu", "m3")))),
    ];
    for (name, bytes) in cases {
        std::fs::write(&whole, bytes).unwrap();
        let network = opened(&whole);
        let route = Route::parse("1,3", network.outline()).unwrap();
        slim(network, route, name);
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/check_onnx.py");
    let output = Command::new(python).arg(script).args(&files).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.lines().filter(|line| line.contains(", 3 samples answered")).count(), FIXTURES + 3, "{said}");
}

/// Weights that a file keeps in other numbers, which a node turns into floats, count as floats do.
#[test]
fn weights_in_other_numbers_are_counted() {
    let file_of = |is_integer: bool| {
        let mut all = vec![(2, b"cast".to_vec()), (11, value("x", &[3])), (12, value("y", &[3]))];
        for (weight, sides) in [("w1", [3, 4]), ("w2", [4, 4]), ("w3", [4, 3])] {
            if is_integer {
                all.push((5, ones(&format!("{weight}.whole"), &sides)));
                all.push((1, node("Cast", &[&format!("{weight}.whole")], &[weight], &[counted("to", 1)])));
            } else {
                all.push((5, floats(weight, &sides, &vec![1.0; sides.iter().product()])));
            }
        }
        let nodes: [(&str, [&str; 2], &str); 4] = [
            ("MatMul", ["x", "w1"], "a"),
            ("MatMul", ["a", "w2"], "h"),
            ("Add", ["h", "a"], "b"),
            ("MatMul", ["b", "w3"], "y"),
        ];
        all.extend(nodes.map(|(op, takes, gives)| (1, node(op, &takes, &[gives], &[]))));
        file(&parts(&all))
    };
    let dir = tempfile::tempdir().unwrap();
    let [floats, whole] = [("floats.onnx", false), ("whole.onnx", true)].map(|(name, is_integer)| {
        let path = dir.path().join(name);
        std::fs::write(&path, file_of(is_integer)).unwrap();
        opened(&path)
    });
    let counts = |network: &GraphNetwork| (network.outline().parameters, network.outline().flops);
    assert_eq!(counts(&floats), (40, 80));
    assert_eq!(counts(&whole), counts(&floats));
    // The names of blocks are those of the weights, which differ.
    let stages = |network: &GraphNetwork| {
        let mut stages = network.outline().stages.clone();
        stages.iter_mut().flat_map(|stage| &mut stage.blocks).for_each(|block| block.source_name = None);
        stages
    };
    assert_eq!(stages(&whole), stages(&floats));
}
