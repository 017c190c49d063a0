//! Flux's markers of image policies: `image: web:1.4.0 # {"$imagepolicy": "flux-system:web"}`.
//!
//! The marker and its suffixes are those that image-automation-controller's setters read
//! (`pkg/update`, `SetterShortHand`).

use crate::{
    image::Image,
    yaml::{self, File, Node, Wrong},
};

/// What begins a marker; also what files are searched for.
pub(crate) const MARKER: &str = "$imagepolicy";

/// Which part of the image a marker is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    Whole,
    Name,
    Tag,
    Digest,
}

/// The places that a policy's markers mark, with their new values.
pub(crate) fn marked<'a>(
    file: &'a File,
    policy: &str,
    image: &Image,
) -> Result<Vec<(&'a Node, String)>, Wrong> {
    let mut scalars = Vec::new();
    for document in &file.documents {
        document.root.scalars(&mut scalars);
    }
    let mut marked = Vec::new();
    for comment in &file.comments {
        let Some(part) = part(&comment.text, policy) else { continue };
        let on_line = scalars.iter().filter(|node| {
            node.line == comment.line && node.range.end <= comment.start && !node.range.is_empty()
        });
        let Some(node) = on_line.max_by_key(|node| node.range.start) else {
            return Err((comment.line, "the marker stands beside no value".to_owned()));
        };
        let missing = |what: &str| {
            (comment.line, format!("the marker wants a {what}, and `{image}` has none"))
        };
        let value = match part {
            Part::Whole => image.to_string(),
            Part::Name => image.name().to_owned(),
            Part::Tag => image.tag().ok_or_else(|| missing("tag"))?.to_owned(),
            Part::Digest => image.digest().ok_or_else(|| missing("digest"))?.to_owned(),
        };
        marked.push((*node, value));
    }
    Ok(marked)
}

/// The part that a comment marks, if it marks one of this policy.
fn part(comment: &str, policy: &str) -> Option<Part> {
    // `{"$imagepolicy": "namespace:name"}` is a flow mapping, so YAML reads it.
    let marker = yaml::parse(comment.trim()).ok()?;
    let name = marker.documents.first()?.root.get(MARKER)?.text()?;
    match name.strip_prefix(policy)? {
        "" => Some(Part::Whole),
        ":name" => Some(Part::Name),
        ":tag" => Some(Part::Tag),
        ":digest" => Some(Part::Digest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{edit, scalar};

    fn release(text: &str, image: &str) -> Result<String, Wrong> {
        let file = yaml::parse(text).unwrap();
        let marked = marked(&file, "flux-system:web", &image.parse().unwrap())?;
        let edits = marked
            .iter()
            .map(|(node, value)| scalar::set(node, value))
            .collect::<Result<_, _>>()?;
        Ok(edit::apply(text, edits).unwrap())
    }

    #[test]
    fn each_part_has_its_marker() {
        let text = "image: 'web:1' # {\"$imagepolicy\": \"flux-system:web\"}\n\
                    name: web # {\"$imagepolicy\": \"flux-system:web:name\"}\n\
                    tag: v1    # {\"$imagepolicy\": \"flux-system:web:tag\"} \n\
                    other: v1  # {\"$imagepolicy\": \"flux-system:web-2\"}\n\
                    more: v1   # {\"$imagepolicy\": \"flux-system:webs:tag\"}\n\
                    list:\n- web:1 # {\"$imagepolicy\": \"flux-system:web\"}\n";
        let released = release(text, "ghcr.io/x:2.0").unwrap();
        let expected = "image: 'ghcr.io/x:2.0' # {\"$imagepolicy\": \"flux-system:web\"}\n\
                        name: ghcr.io/x # {\"$imagepolicy\": \"flux-system:web:name\"}\n\
                        tag: \"2.0\"    # {\"$imagepolicy\": \"flux-system:web:tag\"} \n\
                        other: v1  # {\"$imagepolicy\": \"flux-system:web-2\"}\n\
                        more: v1   # {\"$imagepolicy\": \"flux-system:webs:tag\"}\n\
                        list:\n- ghcr.io/x:2.0 # {\"$imagepolicy\": \"flux-system:web\"}\n";
        assert_eq!(released, expected);
    }

    #[test]
    fn a_marker_that_cannot_be_followed_is_told() {
        let digest = "a: b # {\"$imagepolicy\": \"flux-system:web:digest\"}\n";
        assert_eq!(release(digest, "x:2").unwrap_err().0, 1);
        let nothing = "a:\n  # {\"$imagepolicy\": \"flux-system:web\"}\n  b: c\n";
        assert_eq!(release(nothing, "x:2").unwrap_err().0, 2);
    }
}
