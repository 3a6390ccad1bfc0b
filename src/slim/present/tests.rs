use super::*;
use crate::measure::example::{assert_is_complete, estimate, outline, score};
use crate::measure::{Estimate, LesionResult};
use crate::report::{Panel, csv, html, text};
use crate::slim::{Removal, Sizes, Version};

/// A network of two stages without its blocks 2 and 6.
fn slimming() -> Slimming {
    let whole = outline(&[3, 3]);
    let removed = [BlockId { stage: 0, block: 1 }, BlockId { stage: 1, block: 2 }];
    let slim = Outline { name: "resnet-6 full".into(), ..outline(&[2, 2]) };
    let stays = PerBlock::from([(BlockId { stage: 1, block: 0 }, "it changes the shape".to_owned())]);
    let candidates: Vec<BlockId> = whole.blocks().map(|(id, _)| id).filter(|id| !stays.contains_key(id)).collect();
    let ranking = |name: &str, has_values: bool| Ranking {
        name: name.into(),
        values: candidates.iter().zip([0.5, f64::NAN, 0.25]).filter(|_| has_values).map(|(id, v)| (*id, v)).collect(),
        order: candidates.iter().rev().copied().collect(),
        kendall_tau: vec![1.0, -0.5],
        score: Some(score(0.75)),
    };
    let sizes = |outline: &Outline, latency: f64| Sizes {
        blocks: outline.blocks().count(),
        parameters: outline.parameters,
        bytes: 4 * outline.parameters,
        flops: outline.flops,
        latency_ms: Estimate { value: latency, ci95: 0.125 },
    };
    let version = |(name, cost): (&str, f64)| Version {
        name: name.into(),
        lesion: LesionResult { score: score(0.9 - cost), accuracy_cost: estimate(cost), loss_cost: estimate(cost) },
    };
    let choice = Chosen {
        by: "greedy, 2 blocks".into(),
        baseline: score(0.9),
        curve: removed.iter().zip([0.85, 0.8]).map(|(&block, a)| Removal { block, score: score(a) }).collect(),
        rankings: vec![ranking("l2-ratio", true), ranking("deepest", false)],
    };
    let slimmed = Slimmed {
        builds: "ResNet(BasicBlock, [2, 2])".into(),
        whole: score(0.9),
        versions: [("as planned", 0.125), ("fine-tuned", 0.005)].map(version).to_vec(),
        before: sizes(&whole, 10.25),
        after: sizes(&slim, 8.5),
        finetuning: Vec::new(),
        file: Some("slim.safetensors".into()),
        outline: slim,
    };
    Slimming {
        target: "a<b.th".into(),
        data: "cifar10, test split".into(),
        preprocessing: None,
        device: None,
        seed: 0,
        outline: whole,
        stays,
        choice: Some(choice),
        why_not_independent: None,
        removed: removed.to_vec(),
        route: "1,3 / 1-2".into(),
        slimmed: Some(slimmed),
    }
}

fn findings(report: &Report) -> Vec<&str> {
    report.sections.iter().flat_map(|section| &section.findings).map(|finding| finding.text.as_str()).collect()
}

#[test]
fn everything_is_said_in_sentences_tables_and_drawings() {
    let report = slimming_report(&slimming(), Vec::new());
    report.sections.iter().for_each(assert_is_complete);
    assert_eq!(report.title, "a<b.th, slimmed");
    let conditions =
        "Data: cifar10, test split. 100 samples select the blocks and 100 samples give the scores, halves by seed 0.";
    assert_eq!(report.intro[1], conditions);
    let mut few = slimming();
    few.why_not_independent = Some("the plan was made with other samples".into());
    few.choice.iter_mut().for_each(|choice| choice.baseline.samples = 1);
    few.slimmed.iter_mut().for_each(|slimmed| slimmed.whole.samples = 1);
    assert_eq!(
        slimming_report(&few, Vec::new()).intro[1],
        "Data: cifar10, test split. 1 sample selects the blocks and 1 sample gives the scores, halves by seed 0. The scores \
         are not independent of the selection of the blocks: the plan was made with other samples."
    );
    let said = findings(&report);
    assert_eq!(said[0], "Left out: stage1.block2, stage2.block3. What is left is the route 1,3 / 1-2.");
    let cost = "The slimmed network, fine-tuned, costs 0.50 points of accuracy compared with the whole network; zero lies \
                within the interval.";
    assert_eq!(said[1], cost);
    assert!(said[2].starts_with("slim.safetensors holds resnet-6 full, fine-tuned; opened again,"), "{said:?}");
    let tables = report.sections.iter().flat_map(|section| &section.tables);
    let sizes: Vec<_> = tables.map(|t| (t.name.as_str(), t.rows.len(), t.columns.len())).collect();
    let expected = [
        ("versions", 3, 6),
        ("blocks-that-stay", 1, 2),
        ("sizes", 5, 4),
        ("comparison", 2, 4),
        ("selection", 3, 7),
        ("ranks", 5, 4),
        ("kendall-tau", 2, 3),
    ];
    assert_eq!(sizes, expected);
    let [Panel::Network(whole), Panel::Network(slim)] =
        [0, 1].map(|place| &report.sections[1].figures[place].panels[0])
    else {
        panic!("two drawings")
    };
    let hollow = |drawing: &NetworkDrawing| -> Vec<String> {
        let blocks = drawing.outline.blocks().filter(|(_, block)| block.why_not_removable.is_some());
        blocks.map(|(id, _)| id.to_string()).collect()
    };
    assert_eq!((hollow(whole), whole.removed.len()), (vec!["stage2.block1".to_owned()], 2));
    assert_eq!((hollow(slim), slim.removed.len()), (vec!["stage2.block1".to_owned()], 0));
}

#[test]
fn every_renderer_takes_the_report() {
    let report = slimming_report(&slimming(), vec![("command".into(), "unrolled slim".into())]);
    let text = text(&report, 100);
    assert!(text.starts_with("a<b.th, slimmed\n"), "{text}");
    assert!(text.contains("it changes the shape") && text.contains("latency, ms"), "{text}");
    let page = html(&report);
    assert!(page.contains("a&lt;b.th, slimmed") && page.contains("What was left out"));
    let files = csv(&report);
    let (_, ranks) = files.iter().find(|(name, _)| name == "ranks.csv").unwrap();
    assert!(ranks.starts_with("block,l2_ratio,l2_ratio_rank,deepest_rank\nstage1.block1,0.5,5,5\n"), "{ranks}");
}

#[test]
fn rankings_alone_have_no_scores_of_a_slimmed_network() {
    let slimming = Slimming { slimmed: None, removed: Vec::new(), ..slimming() };
    let report = slimming_report(&slimming, Vec::new());
    assert_eq!(report.title, "a<b.th, its blocks ranked");
    let names: Vec<_> = report.sections.iter().map(|section| section.name.as_str()).collect();
    assert_eq!(names, ["overview", "outlines", "rankings"]);
    assert_eq!(report.intro[1], "Data: cifar10, test split. 100 samples rank the blocks, seed 0.");
    assert_eq!(
        findings(&report),
        ["The blocks are ranked, and none is left out.", "The blocks were selected by greedy, 2 blocks."]
    );
}

#[test]
fn results_are_read_as_they_were_written() {
    let json = serde_json::to_string(&slimming()).unwrap();
    assert!(json.contains("\"stage1.block2\":\"NaN\""), "{json}");
    let again: Slimming = serde_json::from_str(&json).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), json);
}
