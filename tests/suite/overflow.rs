//! Samples on which the outputs of a network are not finite: every command that computes them says so, and ends with an error.

use crate::unchanged::program::Home;

#[test]
fn a_loss_that_is_not_finite_is_an_error() {
    let home = Home::new(&["mlp"]);
    // Finite, and so large that sums of them are not.
    let values: Vec<f32> = (0..20 * 64).map(|place| if place % 3 == 0 { -3e38 } else { 3e38 }).collect();
    let labels: Vec<f32> = (0..20).map(|place| (place % 10) as f32).collect();
    let arrays = [("x", (vec![20, 1, 8, 8], values)), ("labels", (vec![20], labels))];
    crate::npz::write(&home.path("large.npz"), arrays.into_iter());
    let commands = [
        ("eval mlp", true),
        ("measure mlp --only lesion --null none", true),
        ("measure mlp --only lesion --null none --out report", true),
        ("compare mlp mlp --only lesion --null none --out both", true),
        ("slim mlp --remove 1 --out slim.safetensors", false),
        ("slim mlp --blocks stage1.block1 --out slim.safetensors", false),
    ];
    for (command, prints) in commands {
        let output = home.program(&format!("{command} --data arrays:large.npz")).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let last = said.lines().last().unwrap_or_default();
        let expected = "the loss of the whole network is NaN: it needs weights and samples whose outputs are finite";
        assert!(output.status.code() == Some(1) && last.ends_with(expected), "{command}: {said}");
        assert_eq!(!output.stdout.is_empty(), prints, "{command}");
    }
    // What was measured is kept; a network that means nothing is not written.
    assert!(home.path("report/report.html").exists() && !home.path("slim.safetensors").exists());
}
