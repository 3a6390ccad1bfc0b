//! What a graphics card computes: against PyTorch, against the CPU, and again after a run was killed. Without a card the
//! adapter is Mesa's driver that computes on the CPU, if it is installed; `.ci/gpu` does that.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use unrolled::device::{DeviceInfo, open};
use unrolled::kernel::{Backend, Kernels};

use crate::unchanged::TIMES;
use crate::unchanged::compare::{Allowed, Tolerance, differences, without};
use crate::unchanged::program::Home;

/// Largest error of an array of one pass, relative to its largest magnitude. Three times that of the CPU: Vulkan allows
/// `3 + 2·|x|` units in the last place for an exponential and 2.5 for a division, and every card adds up in an order of its own.
const PASS: f64 = 1e-4;

/// Largest relative error of a loss in ten steps, which carry each other's rounding on.
const LOSS: f64 = 1e-4;

/// Measurements against the CPU's. Costs and means are differences of figures of about 1, so that the same error is left
/// where they are nearly 0.
const MEASURED: Tolerance = Tolerance { relative: 2e-4, absolute: 2e-5 };

/// A network and its samples, in the directory of the tests.
const NETWORKS: [[&str; 2]; 4] =
    [["mlp", "digits"], ["full", "digits"], ["residual", "digits"], ["words", "text:corpus"]];

fn home() -> Home {
    Home::new(&NETWORKS.map(|[network, _]| network))
}

/// Returns what a process printed to standard error.
fn message(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn networks_compute_what_pytorch_computes() {
    crate::goldens::check(&open("wgpu").unwrap(), PASS);
}

#[test]
fn ten_steps_lose_what_pytorch_loses() {
    let device = open("wgpu").unwrap();
    crate::parity::check_device(&device, LOSS);
    crate::language::check(&Backend::from(&device), LOSS);
}

#[test]
fn measurements_are_those_of_the_cpu() {
    let home = home();
    let mut wrong = Vec::new();
    for [network, samples] in NETWORKS {
        let measured = |device: &str| {
            let arguments = format!("measure {network} --data {samples} --limit 120 --json --seed 7 --null none");
            let document = home.printed(&format!("{arguments} --device {device}")).unwrap();
            let adapter = document["device"]["adapter"].clone();
            (without(document, &[TIMES, &["device", "command"]].concat()), adapter)
        };
        let ((cpu, none), (card, adapter)) = (measured("cpu"), measured("wgpu"));
        assert!(none.is_null() && adapter.is_string(), "{none} {adapter}");
        let allowed = Allowed { added: &[], changed: &[] };
        wrong.extend(differences(network, &cpu, &card, MEASURED, &allowed));
    }
    assert!(wrong.is_empty(), "{} differences from the CPU:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_killed_run_ends_in_the_same_bytes() {
    crate::resume::kill_both(&["--device", "wgpu"]);
}

#[test]
fn a_run_says_its_device_and_goes_on_elsewhere_only_when_told() {
    let home = home();
    let train = "train mlp/config.toml --out run --set data.limit=148 --set data.validation=100";
    let printed = |arguments: &str| home.program(arguments).output().unwrap();
    let first = printed(&format!("{train} --set train.epochs=1 --device wgpu"));
    let device = DeviceInfo::new(&open("wgpu").unwrap());
    assert!(message(&first).starts_with(&format!("computes on {device}\n")), "{}", message(&first));
    let versions = || -> Value { serde_json::from_str(&home.read("run/versions.json")).unwrap() };
    let begun = versions();
    assert_eq!(begun["kernels"], Kernels::Reference.name());
    assert_eq!(serde_json::from_value::<DeviceInfo>(begun["device"].clone()).unwrap(), device);

    let elsewhere = "train --resume run --set train.epochs=2";
    let refused = printed(elsewhere);
    let said = message(&refused);
    assert_eq!((refused.status.code(), said.lines().count()), (Some(2), 1), "{said}");
    assert!(said.contains("native kernels on cpu") && said.contains(&device.to_string()), "{said}");
    assert_eq!(versions(), begun);
    assert!(printed(&format!("{elsewhere} --inexact")).status.success());
    assert_eq!(versions()["device"]["name"], "cpu");
    assert_eq!(versions()["before"][0], begun);
}

/// Builds a loader of Vulkan by which the device is lost (`tests/gpu/lost_device.c`) in a directory. Returns the path of the loader
/// that this process uses.
#[cfg(target_os = "linux")]
fn build_losing_loader(directory: &Path) -> String {
    // Only a device that has computed keeps the loader in this process.
    let ones = burn::tensor::Tensor::<1>::ones([2], &open("wgpu").unwrap());
    assert_eq!(ones.into_data().try_into_vec::<f32>().unwrap(), [1.0; 2]);
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let real = maps.split_whitespace().find(|word| word.contains("/libvulkan.so.1")).expect("the loader").to_owned();
    // It stays when it is closed: the real one has the same name, and would be found in its place.
    let options = ["-shared", "-fPIC", "-Wl,-soname,libvulkan.so.1,-z,nodelete", "-o"];
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gpu/lost_device.c");
    let compiler =
        Command::new("cc").args(options).arg(directory.join("libvulkan.so.1")).arg(source).arg("-ldl").status();
    assert!(compiler.unwrap().success());
    real
}

#[cfg(target_os = "linux")]
#[test]
fn a_lost_device_is_an_error_and_the_run_goes_on_from_what_was_saved() {
    let home = home();
    let loader = tempfile::tempdir().unwrap();
    let real = build_losing_loader(loader.path());
    let losing = |arguments: &str, submissions: usize| {
        let mut program = home.program(arguments);
        program.env("LD_LIBRARY_PATH", loader.path()).env("REAL_VULKAN", &real);
        let output = program.env("SUBMISSIONS", submissions.to_string()).output().unwrap();
        let said = message(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_eq!(said.lines().last(), Some("error: the device failed: Device is lost"), "{said}");
    };
    losing("eval mlp --data digits --device wgpu", 0);
    let train =
        "train mlp/config.toml --set data.limit=148 --set data.validation=100 --set train.epochs=4 --device wgpu";
    assert!(home.program(&format!("{train} --out whole")).output().unwrap().status.success());
    // How often work is submitted depends on the driver: the device is lost later and later, until something was saved.
    let has_saved = |submissions: usize| {
        let _ = std::fs::remove_dir_all(home.path("run"));
        losing(&format!("{train} --out run"), submissions);
        std::fs::read_dir(home.path("run/checkpoints")).is_ok_and(|saved| saved.count() > 0)
    };
    assert!((1..).map(|tries| 40 * tries).any(has_saved));
    assert!(home.program("train --resume run --device wgpu").output().unwrap().status.success());
    let model = |run: &str| std::fs::read(home.path(run).join("model.safetensors")).unwrap();
    assert!(model("run") == model("whole"), "the resumed run ends in other bytes");
}

#[test]
fn a_machine_without_an_adapter_says_so_in_one_line() {
    let home = home();
    let shown = home.printed("show mlp --device wgpu:0 --json").unwrap();
    assert_eq!(shown["device"]["name"], "wgpu");
    // Vulkan finds its drivers by these.
    let hidden =
        home.program("show mlp --device wgpu").env("VK_DRIVER_FILES", "none").env("VK_ICD_FILENAMES", "none").output();
    let hidden = hidden.unwrap();
    let number = home.program("show mlp --device wgpu:99").output().unwrap();
    for (output, why) in [(hidden, "no driver for Vulkan was found"), (number, "wgpu:0")] {
        let said = message(&output);
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
        assert!(said.starts_with("error: device 'wgpu") && said.contains(why), "{said}");
    }
}
