use crate::report::gauge::Metric;
use crate::report::result::Slimming;
use crate::report::slimming::{compared, conditions, correlations, curve, places, sizes, versions, written};

/// What becomes of a network that is slimmed: the rankings, what is left out, and the numbers before and after.
pub fn slimming(slimming: &Slimming) -> String {
    let mut text = format!("{}: {}\n{}\n", slimming.target, slimming.outline.name, conditions(slimming));
    if let Some(choice) = &slimming.choice {
        let gauge = Metric::of(&slimming.outline);
        text += &format!("\n{}\n{}", places(slimming, choice).text(), correlations(choice).text());
        let compared = compared(gauge, choice);
        if !compared.is_empty() {
            text += &format!("\n{}", compared.text());
        }
        text += &format!("\nby {}, on the samples that choose\n{}", choice.by, curve(gauge, choice).text());
    }
    if !slimming.stays.is_empty() {
        text.push('\n');
    }
    for (block, why) in &slimming.stays {
        text += &format!("{block} stays: {why}\n");
    }
    if let Some(slimmed) = &slimming.slimmed {
        text += &format!("\nleft out: {}\nroute {}\n", slimming.removed.join(", "), slimming.route);
        text += &format!("\n{}\n{}", versions(slimmed).text(), sizes(slimmed).text());
        text += &format!("\nbuilt by {}\n{}\n", slimmed.builds, written(slimmed));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn every_table_is_there_and_what_was_healed_is_told_apart() {
        let text = slimming(&sample::slimming());
        assert!(
            text.starts_with("a<b.th: resnet-56 residual, width 16\ndata cifar10, test split: 10,000 samples choose, ")
        );
        for line in [
            "stage1.block1  -0.350 #1       #25",
            "stage2.block1 stays: it changes the shape",
            "route 1-3,5-9 / 1-9 / 1-8",
            "slim.safetensors: resnet-52 residual, width 16, fine-tuned; opened again it answers as before, and as planned it \
             answers all 10,000 samples as the route does, bit for bit",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        let figures = ["whole ", "as planned ", "fine-tuned ", "parameters ", "latency of one sample, ms "];
        figures.iter().for_each(|start| assert!(text.lines().any(|line| line.starts_with(start)), "{start}"));
    }

    #[test]
    fn results_are_read_as_they_were_written() {
        let mut before = sample::slimming();
        let ranking = &mut before.choice.as_mut().unwrap().rankings[0];
        ranking.values[0] = f64::INFINITY;
        let json = serde_json::to_string(&before).unwrap();
        assert!(json.contains("\"stage1.block1\":\"inf\""));
        assert_eq!(serde_json::from_str::<Slimming>(&json).unwrap(), before);
    }
}
