//! Short ways to build the parts of a [`Section`].

use super::{
    Axis, Cell, Chart, Column, Figure, Finding, Format, HeatMap, Mark, NetworkDrawing, Panel, Pictures, Point,
    Reference, RowKey, Scale, Section, Series, Table,
};
use crate::nn::BlockId;

impl Section {
    /// A section without contents.
    pub fn new(name: &str, title: &str) -> Self {
        Self { name: name.into(), title: title.into(), ..Self::default() }
    }

    /// Adds a paragraph that says what is measured.
    #[must_use]
    pub fn about(mut self, paragraph: impl Into<String>) -> Self {
        self.about.push(paragraph.into());
        self
    }

    /// Adds a sentence about the network at this place of the report, or about all networks.
    pub fn find(&mut self, network: impl Into<Option<usize>>, text: impl Into<String>) {
        self.findings.push(Finding { network: network.into(), text: text.into() });
    }

    /// Whether the section has nothing to show: no sentence about what was found, no panel and no row.
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
            && self.figures.iter().all(|figure| figure.panels.is_empty())
            && self.tables.iter().all(|table| table.rows.is_empty())
    }
}

impl Table {
    /// A table without rows.
    pub fn new(name: &str, title: &str, key: RowKey, columns: impl IntoIterator<Item = Column>) -> Self {
        let columns = columns.into_iter().collect();
        Self { name: name.into(), title: title.into(), key, columns, ..Self::default() }
    }

    /// Adds a row. Cells that are missing at its end stay empty.
    pub fn push(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let mut row: Vec<Cell> = cells.into_iter().collect();
        row.resize(self.columns.len(), Cell::Empty);
        self.rows.push(row);
    }
}

impl Column {
    /// A column of words, which names the row or says something about it.
    pub fn text(name: &str, heading: &str) -> Self {
        Self::new(name, heading, Format::Text)
    }
}

impl Cell {
    /// A number and the half width of its 95 % interval; no figure where there is none.
    pub fn interval(value: impl Into<Option<f64>>, half_width: f64) -> Self {
        value.into().map_or(Self::Empty, |value| Self::Interval(value, half_width))
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<BlockId> for Cell {
    fn from(block: BlockId) -> Self {
        Self::Block(block)
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}

impl From<u64> for Cell {
    fn from(count: u64) -> Self {
        Self::Number(count as f64)
    }
}

impl From<usize> for Cell {
    fn from(count: usize) -> Self {
        Self::Number(count as f64)
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Empty, Into::into)
    }
}

impl Figure {
    /// A figure without panels.
    pub fn new(name: &str, title: &str) -> Self {
        Self { name: name.into(), title: title.into(), ..Self::default() }
    }

    /// Adds a paragraph that says what is drawn.
    #[must_use]
    pub fn about(mut self, paragraph: impl Into<String>) -> Self {
        self.about.push(paragraph.into());
        self
    }

    /// Adds a panel.
    #[must_use]
    pub fn panel(mut self, panel: impl Into<Panel>) -> Self {
        self.panels.push(panel.into());
        self
    }

    /// The same figure, whose panels all have one scale.
    #[must_use]
    pub fn shared(self) -> Self {
        Self { shares_y: true, ..self }
    }
}

impl From<Chart> for Panel {
    fn from(chart: Chart) -> Self {
        Self::Chart(chart)
    }
}

impl From<HeatMap> for Panel {
    fn from(map: HeatMap) -> Self {
        Self::HeatMap(map)
    }
}

impl From<Pictures> for Panel {
    fn from(pictures: Pictures) -> Self {
        Self::Pictures(pictures)
    }
}

impl From<NetworkDrawing> for Panel {
    fn from(drawing: NetworkDrawing) -> Self {
        Self::Network(drawing)
    }
}

impl Panel {
    /// The heading; empty where there is none.
    pub fn title(&self) -> &str {
        match self {
            Self::Chart(chart) => &chart.title,
            Self::HeatMap(map) => &map.title,
            Self::Pictures(pictures) => &pictures.title,
            Self::Network(_) => "",
        }
    }

    /// The place of the network that everything in the panel belongs to; `None` where there are several or none.
    pub fn network(&self) -> Option<usize> {
        match self {
            Self::Chart(chart) => chart.network(),
            Self::HeatMap(map) => map.network,
            Self::Pictures(pictures) => pictures.network,
            Self::Network(drawing) => Some(drawing.network),
        }
    }
}

impl Chart {
    /// A chart without series.
    pub fn new(title: &str, x: Axis, y: Axis) -> Self {
        Self { title: title.into(), x, y, ..Self::default() }
    }

    /// Adds a series.
    #[must_use]
    pub fn series(mut self, series: Series) -> Self {
        self.series.push(series);
        self
    }

    /// Adds a horizontal line with a name.
    #[must_use]
    pub fn reference(mut self, y: f64, label: &str) -> Self {
        self.references.push(Reference { y, label: label.into(), network: None });
        self
    }

    /// The place of the network that all series with a network belong to; `None` where there are several or none.
    pub fn network(&self) -> Option<usize> {
        let mut networks = self.series.iter().filter_map(|series| series.network);
        let first = networks.next()?;
        networks.all(|network| network == first).then_some(first)
    }
}

impl Axis {
    /// An axis with this label, whose values have no unit.
    pub fn new(label: &str, scale: Scale) -> Self {
        Self { label: label.into(), unit: String::new(), scale }
    }

    /// The same axis, whose values have this unit.
    #[must_use]
    pub fn unit(self, unit: &str) -> Self {
        Self { unit: unit.into(), ..self }
    }

    /// Returns the label with the unit: `accuracy, %`.
    pub fn heading(&self) -> String {
        with_unit(&self.label, &self.unit)
    }
}

impl HeatMap {
    /// The same map, whose values are this quantity in this unit.
    #[must_use]
    pub fn value(self, label: &str, unit: &str) -> Self {
        Self { value_label: label.into(), value_unit: unit.into(), ..self }
    }

    /// Returns what the colour is, with its unit: `cost, nats`.
    pub fn value_heading(&self) -> String {
        with_unit(&self.value_label, &self.value_unit)
    }
}

/// Returns a label with its unit behind a comma.
fn with_unit(label: &str, unit: &str) -> String {
    if unit.is_empty() { label.to_owned() } else { format!("{label}, {unit}") }
}

impl Series {
    /// A series of these points.
    pub fn new(
        name: &str,
        network: impl Into<Option<usize>>,
        mark: Mark,
        points: impl IntoIterator<Item = Point>,
    ) -> Self {
        Self { name: name.into(), network: network.into(), mark, points: points.into_iter().collect() }
    }
}

impl Point {
    /// A point without interval.
    pub fn new(x: f64, y: f64) -> Self {
        Self { x, y, ..Self::default() }
    }

    /// The same point with the ends of its interval.
    #[must_use]
    pub fn between(self, low: f64, high: f64) -> Self {
        Self { range: Some([low, high]), ..self }
    }

    /// The same point with an interval of this half width around it.
    #[must_use]
    pub fn plus_minus(self, half_width: f64) -> Self {
        let (low, high) = (self.y - half_width, self.y + half_width);
        self.between(low, high)
    }

    /// The same point, about this block.
    #[must_use]
    pub fn of(self, block: BlockId) -> Self {
        Self { block: Some(block), ..self }
    }

    /// The same point with something to say beside its values.
    #[must_use]
    pub fn note(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }
}
