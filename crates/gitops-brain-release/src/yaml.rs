//! A file of YAML documents as a tree of nodes that know their place in the text.

use std::{borrow::Cow, ops::Range};

use granit_parser::{Event, Parser, ScalarStyle, Span, StrInput, StructureStyle};

/// A document of a file.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) root: Node,
}

/// A value, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// In bytes. Of a block mapping or sequence only the start means anything.
    pub(crate) range: Range<usize>,
    /// From 1.
    pub(crate) line: usize,
    /// From 0, in characters.
    pub(crate) column: usize,
    pub(crate) content: Content,
}

#[derive(Clone, Debug)]
pub(crate) enum Content {
    Scalar {
        text: String,
        style: ScalarStyle,
    },
    Mapping {
        pairs: Vec<(Node, Node)>,
        is_flow: bool,
    },
    Sequence {
        items: Vec<Node>,
        is_flow: bool,
    },
    /// `*name`, by the number of its anchor.
    Alias(usize),
}

/// A comment, without its `#`.
#[derive(Debug)]
pub(crate) struct Comment {
    pub(crate) text: String,
    pub(crate) line: usize,
    pub(crate) start: usize,
}

/// What a file holds.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) documents: Vec<Document>,
    pub(crate) comments: Vec<Comment>,
}

/// The line, from 1, where something is not as it should be, and what.
pub(crate) type Wrong = (usize, String);

/// Reads a file.
pub(crate) fn parse(text: &str) -> Result<File, Wrong> {
    // The reader counts bytes after a byte order mark.
    let (text, offset) = match text.strip_prefix('\u{feff}') {
        Some(rest) => (rest, '\u{feff}'.len_utf8()),
        None => (text, 0),
    };
    let mut reader = Reader { parser: Parser::new_from_str(text), offset, comments: Vec::new() };
    let mut documents = Vec::new();
    while let Some((event, span)) = reader.next()? {
        match event {
            Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
            Event::StreamEnd => break,
            event => documents.push(Document { root: reader.node(event, &span)? }),
        }
    }
    Ok(File { documents, comments: reader.comments })
}

struct Reader<'text> {
    parser: Parser<'text, StrInput<'text>>,
    offset: usize,
    comments: Vec<Comment>,
}

impl<'text> Reader<'text> {
    /// The next event that is no comment.
    fn next(&mut self) -> Result<Option<(Event<'text>, Span)>, Wrong> {
        loop {
            let Some(next) = self.parser.next_event() else { return Ok(None) };
            let (event, span) = next.map_err(|error| (error.marker().line(), error.info()))?;
            let Event::Comment(text, _) = event else { return Ok(Some((event, span))) };
            self.comments.push(Comment {
                text: Cow::into_owned(text),
                line: span.start.line(),
                start: self.range(&span).start,
            });
        }
    }

    fn range(&self, span: &Span) -> Range<usize> {
        let place = |offset: Option<usize>| offset.unwrap_or_default() + self.offset;
        place(span.start.byte_offset())..place(span.end.byte_offset())
    }

    fn node(&mut self, event: Event<'text>, span: &Span) -> Result<Node, Wrong> {
        let mut range = self.range(span);
        let content = match event {
            Event::Scalar(text, style, ..) => Content::Scalar { text: text.into_owned(), style },
            Event::Alias(anchor) => Content::Alias(anchor),
            Event::SequenceStart(style, ..) => {
                let mut items = Vec::new();
                while let Some((event, span)) = self.inner(&Event::SequenceEnd, &mut range)? {
                    items.push(self.node(event, &span)?);
                }
                Content::Sequence { items, is_flow: style == StructureStyle::Flow }
            }
            Event::MappingStart(style, ..) => {
                let mut pairs = Vec::new();
                while let Some((event, span)) = self.inner(&Event::MappingEnd, &mut range)? {
                    let key = self.node(event, &span)?;
                    let Some((event, span)) = self.next()? else { break };
                    pairs.push((key, self.node(event, &span)?));
                }
                Content::Mapping { pairs, is_flow: style == StructureStyle::Flow }
            }
            // The parser yields nothing else where a node must stand.
            _ => Content::Scalar { text: String::new(), style: ScalarStyle::Plain },
        };
        let (line, column) = (span.start.line(), span.start.col());
        Ok(Node { range, line, column, content })
    }

    /// The next event within a collection; at its end `None`, and the collection's range is known.
    fn inner(
        &mut self,
        end: &Event<'_>,
        range: &mut Range<usize>,
    ) -> Result<Option<(Event<'text>, Span)>, Wrong> {
        match self.next()? {
            Some((event, span)) if event == *end => {
                range.end = self.range(&span).end;
                Ok(None)
            }
            next => Ok(next),
        }
    }
}

impl Node {
    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The value of a mapping's key.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.pair(key).map(|(_, value)| value)
    }

    /// A mapping's key and its value.
    pub(crate) fn pair(&self, key: &str) -> Option<&(Self, Self)> {
        let Content::Mapping { pairs, .. } = &self.content else { return None };
        pairs.iter().find(|(name, _)| name.text() == Some(key))
    }

    /// What it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.content {
            Content::Scalar { .. } => "a scalar",
            Content::Mapping { .. } => "a mapping",
            Content::Sequence { .. } => "a sequence",
            Content::Alias(_) => "an alias",
        }
    }

    /// Where the last character of it stands, without what a block collection drags along.
    pub(crate) fn end(&self) -> usize {
        match &self.content {
            Content::Mapping { pairs, is_flow: false } => {
                pairs.last().map_or(self.range.start, end_of_pair)
            }
            Content::Sequence { items, is_flow: false } => {
                items.last().map_or(self.range.start, Self::end)
            }
            _ => self.range.end,
        }
    }

    /// All scalars within.
    pub(crate) fn scalars<'a>(&'a self, found: &mut Vec<&'a Self>) {
        match &self.content {
            Content::Scalar { .. } => found.push(self),
            Content::Mapping { pairs, .. } => {
                for (key, value) in pairs {
                    key.scalars(found);
                    value.scalars(found);
                }
            }
            Content::Sequence { items, .. } => items.iter().for_each(|item| item.scalars(found)),
            Content::Alias(_) => {}
        }
    }
}

/// Where a mapping's key with its value ends; it may have none.
pub(crate) fn end_of_pair((key, value): &(Node, Node)) -> usize {
    value.end().max(key.range.end)
}

/// Whether two nodes hold the same, wherever and however it is written; but for what `differs`
/// allows, which is asked with the places of both.
pub(crate) fn is_same(a: &Node, b: &Node, differs: &impl Fn(&Node, &Node) -> bool) -> bool {
    let is_equal = match (&a.content, &b.content) {
        (Content::Scalar { text: a, style: one }, Content::Scalar { text: b, style: other }) => {
            // A text that lost its quotes may be another value.
            a == b && (one == other)
        }
        (Content::Alias(a), Content::Alias(b)) => a == b,
        (Content::Mapping { pairs: a, .. }, Content::Mapping { pairs: b, .. }) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|((key_a, value_a), (key_b, value_b))| {
                    is_same(key_a, key_b, differs) && is_same(value_a, value_b, differs)
                })
        }
        (Content::Sequence { items: a, .. }, Content::Sequence { items: b, .. }) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b, differs))
        }
        _ => false,
    };
    is_equal || differs(a, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn slice<'a>(text: &'a str, path: &[&str]) -> &'a str {
        let file = parse(text).unwrap();
        let node = path.iter().fold(&file.documents[0].root, |node, key| node.get(key).unwrap());
        text.get(node.range.clone()).unwrap()
    }

    #[test]
    fn places_are_those_of_the_text() {
        let text = "# é\na:\n  b: 'x y' # why\n  c: \"z\"\nd: &x plain  \ne: [1, {f: 2}]\n";
        assert_eq!(slice(text, &["a", "b"]), "'x y'");
        assert_eq!(slice(text, &["a", "c"]), "\"z\"");
        assert_eq!(slice(text, &["d"]), "plain");
        assert_eq!(slice(text, &["e"]), "[1, {f: 2}]");
        let file = parse(text).unwrap();
        let comments: Vec<_> = file.comments.iter().map(|c| (&*c.text, c.line)).collect();
        assert_eq!(comments, [(" é", 1), (" why", 3)]);
    }

    #[test]
    fn a_byte_order_mark_and_carriage_returns_count() {
        let text = "\u{feff}a:\r\n  b: x\r\n";
        assert_eq!(slice(text, &["a", "b"]), "x");
    }

    #[test]
    fn documents_are_kept_apart() {
        assert_eq!(parse("---\na: 1\n---\nb: 2\n...\n").unwrap().documents.len(), 2);
        assert_eq!(parse("").unwrap().documents.len(), 0);
        assert_eq!(parse("a: [").unwrap_err().0, 1);
    }
}
