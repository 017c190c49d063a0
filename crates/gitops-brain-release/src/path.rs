//! Paths into YAML documents.

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::yaml::{Content, Node, Wrong};

/// A path to a value: `spec.template.spec.containers[name=web].image`.
///
/// A step is a key, a key in quotes if it has dots (`metadata.annotations."example.com/version"`),
/// a place in a list from 0 (`[1]`), or the item of a list with a value (`[name=web]`).
///
/// ```
/// use gitops_brain_release::YamlPath;
///
/// let path: YamlPath = "spec.containers[name=web].image".parse()?;
/// assert!("spec..image".parse::<YamlPath>().is_err());
/// # Ok::<(), gitops_brain_release::PathError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct YamlPath {
    text: String,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
    With { key: String, value: String },
}

/// Names a document of a file: `Kind/name` or `Kind/namespace/name`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DocumentName {
    kind: String,
    namespace: Option<String>,
    name: String,
}

/// Why a text is no path, or no document's name.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum PathError {
    /// It is not of the form that paths have.
    #[error(
        "`{0}` is no path: write it as `spec.containers[name=web].image`, with keys that have dots \
         in quotes"
    )]
    Path(String),
    /// It is not of the form that documents' names have.
    #[error("`{0}` names no document: write it as `Deployment/web` or `Deployment/shop/web`")]
    Document(String),
}

impl FromStr for YamlPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let wrong = || PathError::Path(text.to_owned());
        let mut steps = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix('[') {
                let (inside, after) = inner.split_once(']').ok_or_else(wrong)?;
                steps.push(item(inside).ok_or_else(wrong)?);
                rest = after;
                continue;
            }
            if !steps.is_empty() {
                rest = rest.strip_prefix('.').ok_or_else(wrong)?;
            }
            let (key, after) = match rest.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').ok_or_else(wrong)?,
                None => rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len())),
            };
            if key.is_empty() {
                return Err(wrong());
            }
            steps.push(Step::Key(key.to_owned()));
            rest = after;
        }
        if steps.is_empty() {
            return Err(wrong());
        }
        Ok(Self { text: text.to_owned(), steps })
    }
}

fn item(inside: &str) -> Option<Step> {
    match inside.split_once('=') {
        Some((key, value)) if !key.is_empty() => {
            Some(Step::With { key: key.to_owned(), value: value.to_owned() })
        }
        Some(_) => None,
        None => inside.parse().ok().map(Step::Index),
    }
}

impl fmt::Display for YamlPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl YamlPath {
    /// The value that the path leads to. Else the line where it breaks off, and why.
    pub(crate) fn find<'a>(&self, root: &'a Node) -> Result<&'a Node, Wrong> {
        let mut node = root;
        for step in &self.steps {
            node = step.take(node).map_err(|why| (node.line, why))?;
        }
        Ok(node)
    }
}

impl Step {
    fn take<'a>(&self, node: &'a Node) -> Result<&'a Node, String> {
        match (self, &node.content) {
            (Self::Key(key), Content::Mapping { .. }) => {
                node.get(key).ok_or_else(|| format!("there is no `{key}`"))
            }
            (Self::Index(index), Content::Sequence { items, .. }) => items
                .get(*index)
                .ok_or_else(|| format!("there are {} items, and no [{index}]", items.len())),
            (Self::With { key, value }, Content::Sequence { items, .. }) => {
                let is_meant = |item: &&Node| item.get(key).and_then(Node::text) == Some(value);
                let mut meant = items.iter().filter(is_meant);
                match (meant.next(), meant.next()) {
                    (Some(item), None) => Ok(item),
                    (None, _) => Err(format!("no item has the {key} `{value}`")),
                    (Some(_), Some(_)) => Err(format!("several items have the {key} `{value}`")),
                }
            }
            (_, Content::Alias(_)) => {
                Err("here stands an alias: set the value at its anchor".to_owned())
            }
            (Self::Key(key), _) => Err(format!("`{key}` is looked for in {}", node.kind())),
            (_, _) => Err(format!("an item is looked for in {}", node.kind())),
        }
    }
}

impl FromStr for DocumentName {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let parts: Vec<_> = text.split('/').collect();
        let (kind, namespace, name) = match *parts.as_slice() {
            [kind, name] => (kind, None, name),
            [kind, namespace, name] => (kind, Some(namespace), name),
            _ => return Err(PathError::Document(text.to_owned())),
        };
        if kind.is_empty() || namespace == Some("") || name.is_empty() {
            return Err(PathError::Document(text.to_owned()));
        }
        Ok(Self {
            kind: kind.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        })
    }
}

impl fmt::Display for DocumentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{}/{namespace}/{}", self.kind, self.name),
            None => write!(f, "{}/{}", self.kind, self.name),
        }
    }
}

impl DocumentName {
    pub(crate) fn is_of(&self, root: &Node) -> bool {
        let metadata = |key| root.get("metadata").and_then(|metadata| metadata.get(key)?.text());
        root.get("kind").and_then(Node::text) == Some(&self.kind)
            && metadata("name") == Some(&self.name)
            && self.namespace.as_deref().is_none_or(|name| metadata("namespace") == Some(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    const TEXT: &str = "kind: Deployment\nmetadata: {name: web, annotations: {a.b/c: x}}\nspec:\n  \
                        list:\n  - name: one\n    image: i1\n  - name: two\n    image: i2\n";

    fn find(path: &str) -> Result<String, (usize, String)> {
        let file = yaml::parse(TEXT).unwrap();
        let path: YamlPath = path.parse().unwrap();
        path.find(&file.documents[0].root).map(|node| node.text().unwrap().to_owned())
    }

    #[test]
    fn paths_lead_to_values() {
        assert_eq!(find("spec.list[1].image").unwrap(), "i2");
        assert_eq!(find("spec.list[name=one].image").unwrap(), "i1");
        assert_eq!(find("metadata.annotations.\"a.b/c\"").unwrap(), "x");
    }

    #[test]
    fn where_a_path_breaks_off_is_told() {
        assert_eq!(find("spec.lost.image").unwrap_err(), (4, "there is no `lost`".to_owned()));
        let (line, why) = find("spec.list[2].image").unwrap_err();
        assert_eq!((line, &*why), (5, "there are 2 items, and no [2]"));
        let (_, why) = find("spec.list[name=three].image").unwrap_err();
        assert_eq!(why, "no item has the name `three`");
        for wrong in ["", ".", "a..b", "a[", "a[x]", "a[=x]", "a.", "\"a"] {
            assert!(wrong.parse::<YamlPath>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn documents_have_names() {
        let file = yaml::parse(TEXT).unwrap();
        let is_of =
            |name: &str| name.parse::<DocumentName>().unwrap().is_of(&file.documents[0].root);
        assert!(is_of("Deployment/web"));
        assert!(!is_of("Deployment/shop/web"));
        assert!(!is_of("StatefulSet/web"));
        assert!("web".parse::<DocumentName>().is_err());
    }
}
