//! A network whose outputs are not finite: every command that computes them says so, and ends with an error.

use crate::unchanged::program::Home;

/// Every weight is so large that products of two are infinite, and their sums NaN.
fn overflow(home: &Home) {
    let path = home.path("mlp/model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    for (place, value) in bytes[header..].chunks_exact_mut(4).enumerate() {
        let sign = if place % 2 == 0 { 1.0 } else { -1.0 };
        value.copy_from_slice(&(sign * f32::MAX).to_le_bytes());
    }
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_loss_that_is_not_finite_is_an_error() {
    let home = Home::new(&["mlp"]);
    home.printed("eval mlp --data digits --limit 20 --json").unwrap();
    overflow(&home);
    let commands = [
        ("eval mlp", true),
        ("measure mlp --only lesion --null none", true),
        ("measure mlp --only lesion --null none --out report", true),
        ("compare mlp mlp --only lesion --null none --out both", true),
        ("slim mlp --remove 1 --out slim.safetensors", false),
        ("slim mlp --blocks stage1.block1 --out slim.safetensors", false),
    ];
    for (command, prints) in commands {
        let output = home.program(&format!("{command} --data digits --limit 20")).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let last = said.lines().last().unwrap_or_default();
        let expected = "mlp: the loss of the whole network is NaN: it needs weights and samples whose outputs are finite";
        assert_eq!((output.status.code(), last), (Some(1), format!("error: {expected}").as_str()), "{command}");
        assert_eq!(!output.stdout.is_empty(), prints, "{command}");
    }
    // What was measured is kept; a network that means nothing is not written.
    assert!(home.path("report/report.html").exists() && !home.path("slim.safetensors").exists());
}
