use crate::report::result::Slimming;
use crate::report::slimming::{compared, conditions, correlations, curve, places, sizes, versions, written};

/// What becomes of a network that is slimmed: the rankings, what is left out, and the numbers before and after.
pub fn slimming(slimming: &Slimming) -> String {
    let mut text = format!("{}: {}\n{}\n", slimming.target, slimming.outline.name, conditions(slimming));
    if let Some(choice) = &slimming.choice {
        text += &format!("\n{}\n{}", places(slimming, choice).text(), correlations(choice).text());
        let compared = compared(choice);
        if !compared.is_empty() {
            text += &format!("\n{}", compared.text());
        }
        text += &format!("\nby {}, on the samples that choose\n{}", choice.by, curve(choice).text());
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
