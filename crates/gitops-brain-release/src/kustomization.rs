//! The list `images:` of a kustomization.
//!
//! Of a tag and a digest an entry has one: kustomize prefers the digest, so an old one beside a new
//! tag would win.

use crate::{
    change::KustomizationImage,
    edit::Edit,
    scalar,
    yaml::{Content, Node, Wrong, end_of_pair},
};

/// The names under which a folder's kustomization is looked for, in kustomize's order.
pub(crate) const FILES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// The edits that make an entry of `images:` what is wanted.
pub(crate) fn set_image(
    text: &str,
    root: &Node,
    image: &KustomizationImage,
) -> Result<Vec<Edit>, Wrong> {
    if !matches!(root.content, Content::Mapping { .. }) {
        return Err((
            root.line,
            format!("a kustomization is a mapping, and this is {}", root.kind()),
        ));
    }
    let Some(images) = root.get("images") else { return Ok(vec![add_list(text, root, image)]) };
    let Content::Sequence { items, is_flow } = &images.content else {
        return Err((images.line, format!("`images` is {}, and no sequence", images.kind())));
    };
    let is_meant = |item: &&Node| item.get("name").and_then(Node::text) == Some(image.name());
    let mut meant = items.iter().filter(is_meant);
    match (meant.next(), meant.next()) {
        (None, _) => Ok(vec![add_item(text, images, items, *is_flow, image)]),
        (Some(item), None) => change_item(text, item, image),
        (Some(_), Some(second)) => {
            Err((second.line, format!("`{}` stands in `images` twice", image.name())))
        }
    }
}

/// Whether a list of images says what is wanted of one.
pub(crate) fn is_set(images: &Node, image: &KustomizationImage) -> bool {
    let Content::Sequence { items, .. } = &images.content else { return false };
    let entry =
        items.iter().find(|item| item.get("name").and_then(Node::text) == Some(image.name()));
    entry.is_some_and(|entry| {
        let says = |key: &str| entry.get(key).and_then(Node::text);
        let is_version = image.tag().is_some() || image.digest().is_some();
        (image.new_name().is_none() || says("newName") == image.new_name())
            && (!is_version || (says("newTag") == image.tag() && says("digest") == image.digest()))
    })
}

/// The keys of an entry that are wanted, and their values.
fn wanted(image: &KustomizationImage) -> Vec<(&'static str, &str)> {
    let mut wanted = Vec::new();
    wanted.extend(image.new_name().map(|name| ("newName", name)));
    wanted.extend(image.tag().map(|tag| ("newTag", tag)));
    wanted.extend(image.digest().map(|digest| ("digest", digest)));
    wanted
}

fn change_item(text: &str, item: &Node, image: &KustomizationImage) -> Result<Vec<Edit>, Wrong> {
    let Content::Mapping { pairs, is_flow } = &item.content else {
        return Err((item.line, format!("an entry of `images` is a mapping, not {}", item.kind())));
    };
    let mut edits = Vec::new();
    let mut missing = Vec::new();
    for (key, value) in wanted(image) {
        match item.get(key) {
            Some(node) => edits.push(scalar::set(node, value)?),
            None => missing.push((key, value)),
        }
    }
    // What must go, because kustomize would take it instead of what is wanted, or beside it.
    let obsolete: Vec<_> = [("newTag", image.tag()), ("digest", image.digest())]
        .into_iter()
        .filter(|(key, wanted)| wanted.is_none() && item.get(key).is_some())
        .map(|(key, _)| key)
        .collect();
    let version_changes = image.tag().is_some() || image.digest().is_some();
    for key in obsolete.into_iter().filter(|_| version_changes) {
        let Some((name, node)) = item.pair(key) else { continue };
        let new = missing.iter().position(|(key, _)| matches!(*key, "newTag" | "digest"));
        match new {
            // It takes the place of the old.
            Some(index) => {
                let (key, value) = missing.remove(index);
                edits.push(Edit::replace(
                    name.range.start..node.end(),
                    format!("{key}: {}", scalar::text(value)),
                ));
            }
            None => edits.push(remove(text, item, pairs, key, *is_flow)?),
        }
    }
    if let Some(at) = pairs.last().map(end_of_pair) {
        for (key, value) in missing {
            let value = scalar::text(value);
            edits.push(if *is_flow {
                Edit::insert(at, format!(", {key}: {value}"))
            } else {
                let indent = " ".repeat(item.column);
                Edit::insert(
                    end_of_line(text, at),
                    format!("{}{indent}{key}: {value}", new_line(text)),
                )
            });
        }
    }
    Ok(edits)
}

/// Takes a pair out of a mapping, with its line.
fn remove(
    text: &str,
    item: &Node,
    pairs: &[(Node, Node)],
    key: &str,
    is_flow: bool,
) -> Result<Edit, Wrong> {
    let place = pairs.iter().position(|(name, _)| name.text() == Some(key));
    let before = place.and_then(|place| pairs.get(place.checked_sub(1)?));
    match (before, item.pair(key)) {
        (Some(before), Some((_, node))) => {
            let from = end_of_pair(before);
            let from = if is_flow { from } else { end_of_line(text, from) };
            let to = if is_flow { node.end() } else { end_of_line(text, node.end()) };
            Ok(Edit::replace(from..to, ""))
        }
        _ => Err((item.line, format!("take out `{key}` by hand: it is the first of its entry"))),
    }
}

fn add_item(
    text: &str,
    images: &Node,
    items: &[Node],
    is_flow: bool,
    image: &KustomizationImage,
) -> Edit {
    match items.last() {
        Some(last) if is_flow => Edit::insert(last.end(), format!(", {}", flow(image))),
        None => Edit::replace(images.range.start..images.range.end, format!("[{}]", flow(image))),
        Some(last) => {
            let line = text.get(..last.range.start).unwrap_or_default();
            let begin = line.rfind('\n').map_or(0, |newline| newline + 1);
            let dash = line.get(begin..).unwrap_or_default();
            let entry = block(image, dash, &" ".repeat(last.column), new_line(text));
            Edit::insert(end_of_line(text, last.end()), format!("{}{entry}", new_line(text)))
        }
    }
}

fn add_list(text: &str, root: &Node, image: &KustomizationImage) -> Edit {
    if let Content::Mapping { pairs, is_flow: true } = &root.content {
        let at = pairs.last().map_or(root.range.start + 1, end_of_pair);
        let comma = if pairs.is_empty() { "" } else { ", " };
        return Edit::insert(at, format!("{comma}images: [{}]", flow(image)));
    }
    let line = new_line(text);
    let entry = block(image, "- ", "  ", line);
    Edit::insert(end_of_line(text, root.end()), format!("{line}images:{line}{entry}"))
}

fn block(image: &KustomizationImage, dash: &str, indent: &str, line: &str) -> String {
    format!("{dash}{}", entry(image, &format!("{line}{indent}")))
}

fn flow(image: &KustomizationImage) -> String {
    format!("{{{}}}", entry(image, ", "))
}

/// All keys of a new entry, with something between each two.
fn entry(image: &KustomizationImage, between: &str) -> String {
    let pairs = std::iter::once(("name", image.name())).chain(wanted(image));
    let pairs: Vec<_> =
        pairs.map(|(key, value)| format!("{key}: {}", scalar::text(value))).collect();
    pairs.join(between)
}

/// The line end that the text uses.
fn new_line(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

/// Where the line ends that a place is in, before its line break.
fn end_of_line(text: &str, place: usize) -> usize {
    let rest = text.get(place..).unwrap_or_default();
    let length = rest.find('\n').unwrap_or(rest.len());
    let line = rest.get(..length).unwrap_or_default();
    place + line.trim_end_matches('\r').len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{edit, yaml};

    fn set(text: &str, image: &str) -> Result<String, Wrong> {
        let file = yaml::parse(text).unwrap();
        let edits = set_image(text, &file.documents[0].root, &image.parse().unwrap())?;
        Ok(edit::apply(text, edits).unwrap())
    }

    #[test]
    fn an_entry_is_changed_in_place() {
        let text = "# ours\nimages:\n  - name: web # the shop\n    newTag: v1 # set by CI\n\
                    \x20 - name: db\n    newTag: v7\nresources: [web.yaml]\n";
        let expected = text.replace("v1", "\"1.10\"");
        assert_eq!(set(text, "web:1.10").unwrap(), expected);
    }

    #[test]
    fn a_digest_takes_the_place_of_a_tag_and_back() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let tag = "images:\n- name: web\n  newTag: v1\n  newName: x/web\n";
        let by_digest = set(tag, &format!("web@{digest}")).unwrap();
        assert_eq!(by_digest, tag.replace("newTag: v1", &format!("digest: {digest}")));
        assert_eq!(set(&by_digest, "web:v1").unwrap(), tag);

        let both =
            format!("images:\n- name: web\n  newTag: v1\n  digest: {digest} # old\n  newName: y\n");
        assert_eq!(
            set(&both, "web:v2").unwrap(),
            "images:\n- name: web\n  newTag: v2\n  newName: y\n"
        );
        let flow = format!("images: [{{name: web, newTag: v1, digest: {digest}}}]\n");
        assert_eq!(set(&flow, "web:v2").unwrap(), "images: [{name: web, newTag: v2}]\n");
    }

    #[test]
    fn what_is_missing_is_added() {
        assert_eq!(
            set("resources:\r\n- web.yaml\r\n", "web=ghcr.io/x/web:v2").unwrap(),
            "resources:\r\n- web.yaml\r\nimages:\r\n- name: web\r\n  newName: ghcr.io/x/web\r\n  newTag: v2\r\n"
        );
        assert_eq!(
            set("images:\n  - name: db\n    newTag: v1 # why\n\n# end", "web:v2").unwrap(),
            "images:\n  - name: db\n    newTag: v1 # why\n  - name: web\n    newTag: v2\n\n# end"
        );
        assert_eq!(set("images: []\n", "web:v2").unwrap(), "images: [{name: web, newTag: v2}]\n");
        assert_eq!(
            set("images: [{name: db}]", "web:v2").unwrap(),
            "images: [{name: db}, {name: web, newTag: v2}]"
        );
        assert_eq!(
            set("images:\n- name: web", "web:v2").unwrap(),
            "images:\n- name: web\n  newTag: v2"
        );
        assert_eq!(
            set("{images: [{name: web}]}", "web:v2").unwrap(),
            "{images: [{name: web, newTag: v2}]}"
        );
        assert_eq!(set("{}", "web:v2").unwrap(), "{images: [{name: web, newTag: v2}]}");
    }

    #[test]
    fn what_is_no_list_of_images_is_refused() {
        assert_eq!(set("images: 3\n", "web:v2").unwrap_err().0, 1);
        assert_eq!(set("images:\n- name: web\n- name: web\n", "web:v2").unwrap_err().0, 3);
        assert_eq!(set("- a\n", "web:v2").unwrap_err().0, 1);
    }
}
