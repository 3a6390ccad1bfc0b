use super::*;
use crate::report::result::{Epoch, Slimming};
use crate::report::sample;

fn page(networks: Vec<Measurements>) -> String {
    let facts = vec![("command".into(), "unrolled report <runs>".into())];
    html(&Report { title: "A & B".into(), intro: vec!["x < y".into()], networks, facts }).unwrap()
}

/// What must hold for every page, whatever is on it.
fn assert_sound(page: &str) {
    let without_namespace = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    // A picture that is part of the page is not fetched.
    let without_namespace = without_namespace.replace("src=\"data:image/png;base64,", "");
    for forbidden in
        ["http://", "https://", "url(", "src=", "href=", "@import", "<script", "NaN\"", "=\"inf", "=\"-inf"]
    {
        assert!(!without_namespace.contains(forbidden), "{forbidden}");
    }
    for attribute in [" x", " y", " cx", " cy", " x1", " y1", " x2", " y2", " width", " height", " points", " d"] {
        let key = format!("{attribute}=\"");
        for value in page.split(&key).skip(1).map(|rest| rest.split('"').next().unwrap_or_default()) {
            let number = value.replace(|c: char| "MHVZhvz".contains(c), "");
            assert!(!number.contains(|c: char| c.is_alphabetic()), "{attribute}={value}");
        }
    }
    for element in ["section", "figure", "div", "p", "svg", "g", "table", "details", "h3", "ul", "li", "text", "title"]
    {
        let opened = page.matches(&format!("<{element}>")).count() + page.matches(&format!("<{element} ")).count();
        assert_eq!(opened, page.matches(&format!("</{element}>")).count(), "<{element}>");
    }
    assert!(!page.contains("#0101") && !page.contains("#0102"), "a stand-in colour is left");
}

fn sections(page: &str) -> Vec<&str> {
    page.split("<section id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn every_section_in_order() {
    let page = page((0..3).map(sample::highway).collect());
    assert_sound(&page);
    assert_eq!(sections(&page), ["training", "outline", "estimation", "lesion", "shuffle", "gates"]);
    assert!(
        page.contains("<title>A &amp; B</title>") && page.contains("x &lt; y") && page.contains("report &lt;runs&gt;")
    );
    for network in ["runs/highway", "runs/full", "runs/residual"] {
        assert!(page.contains(&format!("<b>{network}</b> The standard deviation falls")), "{network}");
    }
}

#[test]
fn several_stages_and_wide_ones() {
    for network in [sample::residual(), sample::bottleneck()] {
        assert_sound(&page(vec![network]));
    }
    assert_sound(&page(vec![sample::bottleneck(), sample::residual(), sample::highway(1)]));
}

#[test]
fn sections_without_data_are_absent() {
    assert_eq!(sections(&page(Vec::new())), Vec::<&str>::new());
    let network = sample::residual();
    assert_eq!(sections(&page(vec![network.clone()])), ["training", "outline", "estimation", "lesion", "shuffle"]);
    let bare = Measurements { estimation: None, lesion: None, shuffle: None, training: Vec::new(), ..network.clone() };
    assert_eq!(sections(&page(vec![bare])), ["outline"]);
    let empty = Measurements {
        estimation: Some(Default::default()),
        lesion: Some(Default::default()),
        shuffle: Some(Vec::new()),
        gates: Some(Default::default()),
        training: Vec::new(),
        ..network
    };
    assert_sound(&page(vec![empty]));
}

#[test]
fn names_cannot_break_out_of_the_page() {
    let evil = "<script>alert(\"1\")</script>&'";
    let mut networks = vec![sample::highway(0), sample::highway(1)];
    for network in &mut networks {
        network.target = evil.into();
        network.outline.name = evil.into();
        network.outline.stages[0].name = evil.into();
        network.outline.stages[0].blocks[0].body = evil.into();
        network.outline.stages[0].blocks[0].why_not_removable = Some(evil.into());
    }
    let page = page(networks);
    assert_sound(&page);
    assert!(!page.contains("<script") && page.contains("&lt;script&gt;"));
}

#[test]
fn what_is_not_finite_is_said_and_not_drawn() {
    let mut network = sample::highway(1);
    network.baseline.loss = f64::INFINITY;
    for (index, error) in network.estimation.as_mut().unwrap().values_mut().enumerate() {
        (error.mean_relative, error.std_relative, error.std) =
            (f64::NAN, f64::NEG_INFINITY, [f64::NAN, 0.0][index % 2]);
    }
    network.lesion.as_mut().unwrap()[3].score.accuracy = f64::NAN;
    network.lesion.as_mut().unwrap()[4].accuracy_cost.ci95 = f64::NAN;
    network.shuffle.as_mut().unwrap()[0].kendall_tau = f64::NAN;
    let gate = network.gates.as_mut().unwrap()[0].transform.as_mut().unwrap();
    (gate.mean.value, gate.channels[0], gate.histogram[2], gate.sparsity_per_class[0]) =
        (f64::NAN, f32::NAN, f64::NAN, f64::NAN);
    network.training[3].train_loss = f64::NAN;
    network.training[4].seconds = f64::INFINITY;
    let page = page(vec![network]);
    assert_sound(&page);
    assert!(page.contains("not finite") && page.contains("left out of the charts"));
}

#[test]
fn everything_not_finite_and_everything_huge() {
    for value in [f64::NAN, f64::INFINITY, f64::MAX, -f64::MAX, 1e-320, 0.0] {
        let mut network = sample::residual();
        for error in network.estimation.as_mut().unwrap().values_mut() {
            (error.mean_relative, error.std_relative, error.std, error.std_ci95) = (value, value, value, value);
        }
        for lesion in network.lesion.as_mut().unwrap().values_mut() {
            (lesion.accuracy_cost.value, lesion.accuracy_cost.ci95, lesion.score.accuracy) = (value, value, value);
        }
        network.training = vec![Epoch { train_loss: value, test_loss: value, seconds: value, ..network.training[0] }];
        assert_sound(&page(vec![network]));
    }
}

#[test]
fn one_block_and_two_hundred() {
    for count in [0, 1, 2, 200] {
        let mut network = sample::highway(1);
        let block = network.outline.stages[0].blocks[0].clone();
        let names = (1..=count).map(|number| format!("stage1.block{number}"));
        network.outline.stages[0].blocks = names
            .clone()
            .map(|name| crate::report::result::BlockOutline { id: name.parse().unwrap(), ..block.clone() })
            .collect();
        network.estimation = network.estimation.map(|blocks| names.clone().map(|name| (name, blocks[0])).collect());
        network.lesion = network.lesion.map(|blocks| names.clone().map(|name| (name, blocks[0])).collect());
        network.gates = network.gates.map(|blocks| names.clone().map(|name| (name, blocks[0].clone())).collect());
        assert_sound(&page(vec![network]));
    }
}

#[test]
fn stages_applied_again_are_told_apart() {
    let mut network = sample::residual();
    let score = network.baseline;
    let agreement = crate::report::result::Estimate::default();
    let repeat = |block: &str, rescaled| crate::report::result::Repeat {
        block: block.into(),
        times: 1,
        rescaled,
        score,
        agreement,
    };
    network.repeats = Some(vec![repeat("stage1.block9", false), repeat("stage3.block9", false)]);
    let page = page(vec![network]);
    assert_sound(&page);
    let section = page.split("<section id=\"repeats\">").nth(1).unwrap();
    let legend = section.split("<ul class=\"legend\">").nth(1).unwrap().split("</ul>").next().unwrap();
    assert_eq!(legend.matches("<li>").count(), 3, "{legend}");
    let charts = section.split("<div class=\"charts\">").nth(1).unwrap();
    // One point in the colour of each stage that has any.
    assert!(charts.contains("var(--n0)") && !charts.contains("var(--n1)") && charts.contains("var(--n2)"));
}

#[test]
fn gates_without_units() {
    let mut network = sample::highway(1);
    for gates in network.gates.as_mut().unwrap().values_mut() {
        let gate = gates.transform.as_mut().unwrap();
        (gate.channels, gate.class_channels, gate.histogram) = (Vec::new(), Vec::new(), Vec::new());
        gate.sparsity_per_class = Vec::new();
    }
    assert_sound(&page(vec![network]));
}

/// The page about a slimmed network, with all that it can hold, and with nothing but rankings.
#[test]
fn a_slimmed_network_stands_before_and_after() {
    let slimming = sample::slimming();
    let facts = vec![("command".into(), "unrolled slim <file>".into())];
    let page = slim_html(&slimming, &facts).unwrap();
    assert_sound(&page);
    assert_eq!(sections(&page), ["outlines", "costs", "rankings"]);
    assert_eq!(page.matches("stroke-dasharray").count(), 2, "blocks that are left out, in the first outline alone");
    assert!(page.contains("<h1>a&lt;b.th, slimmed</h1>") && page.contains("−0.350"));
    let ranked = Slimming { slimmed: None, removed: Vec::new(), ..slimming };
    let page = slim_html(&ranked, &facts).unwrap();
    assert_sound(&page);
    assert_eq!(sections(&page), ["rankings"]);
}
