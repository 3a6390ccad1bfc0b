//! Reads the SVG that was written.

/// Attributes of one element, and its text.
#[derive(Debug)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) text: String,
    /// How far the groups around it are moved to the right.
    pub(super) left: f64,
}

impl Element {
    pub(super) fn get(&self, name: &str) -> &str {
        self.attributes.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    pub(super) fn number(&self, name: &str) -> f64 {
        self.get(name).parse().unwrap_or(0.0)
    }

    /// The corners of a path of straight lines.
    pub(super) fn points(&self) -> Vec<[f64; 2]> {
        let data = self.get("d").replace(['M', 'L', 'Z'], " ");
        let numbers: Vec<f64> = data.split_whitespace().map(|number| number.parse().unwrap()).collect();
        numbers.chunks(2).map(|pair| [pair[0], pair[1]]).collect()
    }
}

/// All elements in order. Panics where tags do not match.
pub(super) fn elements(svg: &str) -> Vec<Element> {
    let mut elements: Vec<Element> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    for tag in svg.split('<').skip(1) {
        let (tag, text) = tag.split_once('>').expect("a tag ends");
        if let Some(name) = tag.strip_prefix('/') {
            let last = open.pop().expect("a tag was opened");
            assert_eq!(elements[last].name, name);
            if let Some(&parent) = open.last() {
                let own = if name == "tspan" { elements[last].text.clone() } else { String::new() };
                elements[parent].text += &format!("{own}{}", unescaped(text));
            }
            continue;
        }
        let is_closed = tag.ends_with('/');
        let tag = tag.trim_end_matches('/');
        let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut attributes = Vec::new();
        while let Some((key, after)) = rest.split_once("=\"") {
            let (value, after) = after.split_once('"').expect("an attribute ends");
            attributes.push((key.trim().to_owned(), value.to_owned()));
            rest = after;
        }
        let mut element = Element { name: name.into(), attributes, text: unescaped(text), left: 0.0 };
        let shift = element.get("transform").strip_prefix("translate(").and_then(|shift| shift.split(' ').next());
        let shift: f64 = shift.map_or(0.0, |shift| shift.parse().unwrap());
        element.left = shift + open.last().map_or(0.0, |&parent| elements[parent].left);
        elements.push(element);
        if !is_closed {
            open.push(elements.len() - 1);
        }
    }
    assert!(open.is_empty(), "all tags are closed");
    elements
}

fn unescaped(text: &str) -> String {
    text.trim_matches('\n').replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}
