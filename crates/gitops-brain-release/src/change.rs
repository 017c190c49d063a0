//! What a release changes in the files of a repository.

use std::{collections::BTreeMap, str::FromStr};

use crate::{
    edit::{self, Edit},
    error::ReleaseError,
    image::{Image, ImageError},
    kustomization,
    path::{DocumentName, YamlPath},
    policy, scalar,
    yaml::{self, File, Node, Wrong},
};

/// What a release changes. All of it goes into one commit.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Values at paths.
    pub sets: Vec<Set>,
    /// Entries in the `images:` of kustomizations.
    pub images: Vec<KustomizationImage>,
    /// Values with the markers of Flux's image policies.
    pub policies: Vec<PolicyImage>,
}

/// A value at a path in a file.
#[derive(Clone, Debug)]
pub struct Set {
    /// From the root of the repository.
    pub file: String,
    /// The document, where the file has several that the path could mean.
    pub document: Option<DocumentName>,
    /// Where the value stands. It must be there already.
    pub path: YamlPath,
    /// The value, without quotes.
    pub value: String,
}

/// An entry in the `images:` of a kustomization, in kustomize's own writing (`kustomize edit set
/// image`): `web=ghcr.io/shop/web:1.4.0`, `web:1.4.0`, `web@sha256:…`.
#[derive(Clone, Debug)]
pub struct KustomizationImage {
    folder: String,
    name: String,
    new_name: Option<String>,
    image: Image,
}

/// A new image for the markers of one of Flux's image policies.
#[derive(Clone, Debug)]
pub struct PolicyImage {
    /// `namespace:name`, as in the marker.
    pub policy: String,
    /// The image.
    pub image: Image,
    /// The folder whose files are searched, from the root of the repository; empty for all.
    pub folder: String,
}

impl KustomizationImage {
    /// The kustomization that the entry is in: a folder, or the file itself, from the root of the
    /// repository.
    #[must_use]
    pub fn within(mut self, folder: impl Into<String>) -> Self {
        self.folder = folder.into();
        self
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn new_name(&self) -> Option<&str> {
        self.new_name.as_deref()
    }

    pub(crate) fn tag(&self) -> Option<&str> {
        self.image.tag()
    }

    pub(crate) fn digest(&self) -> Option<&str> {
        self.image.digest()
    }
}

impl FromStr for KustomizationImage {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let (name, image) = match text.split_once('=') {
            Some((name, image)) => (name.parse::<Image>()?.to_string(), image.parse::<Image>()?),
            None => {
                let image = text.parse::<Image>()?;
                (image.name().to_owned(), image)
            }
        };
        let new_name =
            (image.name() != name || text.contains('=')).then(|| image.name().to_owned());
        if new_name.is_none() && image.tag().is_none() && image.digest().is_none() {
            return Err(ImageError::Name(text.to_owned()));
        }
        Ok(Self { folder: String::new(), name, new_name, image })
    }
}

/// The files of one commit.
pub(crate) trait Files {
    /// The content of a file, or nothing if there is none.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, ReleaseError>;
    /// The YAML files below a folder with this text in them.
    fn with(&self, text: &str, folder: &str) -> Result<Vec<String>, ReleaseError>;
    /// The commit, for messages.
    fn commit(&self) -> String;
}

/// A file, and what becomes of it.
struct Edited {
    before: String,
    after: String,
}

impl Change {
    /// The files that change, with their new content.
    ///
    /// # Errors
    ///
    /// See [`ReleaseError`].
    pub(crate) fn apply(&self, files: &impl Files) -> Result<Vec<(String, Vec<u8>)>, ReleaseError> {
        if self.sets.is_empty() && self.images.is_empty() && self.policies.is_empty() {
            return Err(ReleaseError::NoChange);
        }
        let mut edited = Editor { files, edited: BTreeMap::new() };
        for set in &self.sets {
            edited.set(set)?;
        }
        for image in &self.images {
            edited.image(image)?;
        }
        for policy in &self.policies {
            edited.policy(policy)?;
        }
        let changed = edited.edited.into_iter().filter(|(_, file)| file.before != file.after);
        Ok(changed.map(|(path, file)| (path, file.after.into_bytes())).collect())
    }
}

struct Editor<'a, F> {
    files: &'a F,
    edited: BTreeMap<String, Edited>,
}

impl<F: Files> Editor<'_, F> {
    fn set(&mut self, set: &Set) -> Result<(), ReleaseError> {
        let path = within(&set.file)?;
        let (_, parsed) = self.open(&path)?;
        let place = place(&path, &parsed, set)?;
        let edit = scalar::set(place, &set.value).map_err(no_value(&path))?;
        let range = place.range.clone();
        self.edit(&path, &parsed, vec![edit], |before, after| {
            before.range == range && after.text() == Some(&set.value)
        })
    }

    fn policy(&mut self, policy: &PolicyImage) -> Result<(), ReleaseError> {
        let folder = if policy.folder.is_empty() { String::new() } else { within(&policy.folder)? };
        let mut found = false;
        for path in self.files.with(policy::MARKER, &folder)? {
            let (_, parsed) = self.open(&path)?;
            let marked =
                policy::marked(&parsed, &policy.policy, &policy.image).map_err(no_value(&path))?;
            found |= !marked.is_empty();
            let edits = marked.iter().map(|(node, value)| scalar::set(node, value));
            let edits = edits.collect::<Result<Vec<_>, _>>().map_err(no_value(&path))?;
            let wanted: BTreeMap<_, _> =
                marked.iter().map(|(node, value)| (node.range.start, value.clone())).collect();
            self.edit(&path, &parsed, edits, |before, after| {
                wanted.get(&before.range.start).is_some_and(|value| after.text() == Some(value))
            })?;
        }
        if found {
            return Ok(());
        }
        let within = if folder.is_empty() { folder } else { format!(" under {folder}") };
        Err(ReleaseError::NoMarker { policy: policy.policy.clone(), within })
    }

    fn image(&mut self, image: &KustomizationImage) -> Result<(), ReleaseError> {
        let path = self.kustomization(&image.folder)?;
        let (text, parsed) = self.open(&path)?;
        let [document] = parsed.documents.as_slice() else {
            let message =
                format!("a kustomization is one document, and here are {}", parsed.documents.len());
            return Err(ReleaseError::NoValue { file: path, line: 1, message });
        };
        let edits =
            kustomization::set_image(&text, &document.root, image).map_err(no_value(&path))?;
        let images = document.root.get("images").map(|images| images.range.clone());
        let root = document.root.range.clone();
        self.edit(&path, &parsed, edits, |before, after| {
            // The list of images may change, or be there now; all else may not.
            let is_list =
                images.as_ref() == Some(&before.range) && kustomization::is_set(after, image);
            let is_added = images.is_none()
                && before.range.start == root.start
                && after.get("images").is_some_and(|images| kustomization::is_set(images, image))
                && is_same_but_last(before, after);
            is_list || is_added
        })
    }

    fn kustomization(&self, folder: &str) -> Result<String, ReleaseError> {
        let folder = if matches!(folder, "" | ".") { String::new() } else { within(folder)? };
        if !folder.is_empty() && self.files.read(&folder)?.is_some() {
            return Ok(folder);
        }
        for name in kustomization::FILES {
            let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            if self.files.read(&path)?.is_some() {
                return Ok(path);
            }
        }
        let file = format!("{folder}/kustomization.yaml");
        Err(ReleaseError::NoFile {
            file: file.trim_start_matches('/').to_owned(),
            commit: self.files.commit(),
        })
    }

    /// A file as it is by now, and what stands in it.
    fn open(&mut self, path: &str) -> Result<(String, File), ReleaseError> {
        let text = match self.edited.get(path) {
            Some(file) => file.after.clone(),
            None => {
                let content = self.files.read(path)?.ok_or_else(|| ReleaseError::NoFile {
                    file: path.to_owned(),
                    commit: self.files.commit(),
                })?;
                let text = String::from_utf8(content)
                    .map_err(|_| ReleaseError::NotText { file: path.to_owned() })?;
                let file = Edited { before: text.clone(), after: text.clone() };
                self.edited.insert(path.to_owned(), file);
                text
            }
        };
        let parsed = yaml::parse(&text).map_err(|(line, message)| ReleaseError::NotYaml {
            file: path.to_owned(),
            line,
            message,
        })?;
        Ok((text, parsed))
    }

    /// Makes edits, and looks at what became of the file: nothing may have changed but what
    /// `differs` allows.
    fn edit(
        &mut self,
        path: &str,
        before: &File,
        edits: Vec<Edit>,
        differs: impl Fn(&Node, &Node) -> bool,
    ) -> Result<(), ReleaseError> {
        let refuse = |message: &str| ReleaseError::Unsafe {
            file: path.to_owned(),
            message: message.to_owned(),
        };
        let Some(file) = self.edited.get_mut(path) else { return Ok(()) };
        let text = edit::apply(&file.after, edits).ok_or_else(|| refuse("two changes overlap"))?;
        let after = yaml::parse(&text).map_err(|_| refuse("it would be no YAML any more"))?;
        let is_safe = before.documents.len() == after.documents.len()
            && before.comments.len() >= after.comments.len()
            && before
                .documents
                .iter()
                .zip(&after.documents)
                .all(|(before, after)| yaml::is_same(&before.root, &after.root, &differs));
        if !is_safe {
            return Err(refuse("more than the value would change"));
        }
        file.after = text;
        Ok(())
    }
}

/// Whether a mapping only got one more pair at its end.
fn is_same_but_last(before: &Node, after: &Node) -> bool {
    let (yaml::Content::Mapping { pairs: before, .. }, yaml::Content::Mapping { pairs: after, .. }) =
        (&before.content, &after.content)
    else {
        return false;
    };
    let never = |_: &Node, _: &Node| false;
    before.len() + 1 == after.len()
        && before.iter().zip(after).all(|((key_a, value_a), (key_b, value_b))| {
            yaml::is_same(key_a, key_b, &never) && yaml::is_same(value_a, value_b, &never)
        })
}

/// The node that a set means.
fn place<'a>(path: &str, file: &'a File, set: &Set) -> Result<&'a Node, ReleaseError> {
    let wrong =
        |line, message: String| ReleaseError::NoValue { file: path.to_owned(), line, message };
    let documents = file.documents.iter().map(|document| &document.root);
    let documents: Vec<_> = match &set.document {
        Some(name) => documents.filter(|root| name.is_of(root)).collect(),
        None => documents.collect(),
    };
    if let (Some(name), [] | [_, _, ..]) = (&set.document, documents.as_slice()) {
        return Err(wrong(
            1,
            format!("{} documents are {name}, and one is looked for", documents.len()),
        ));
    }
    let found: Vec<_> = documents.iter().map(|root| set.path.find(root)).collect();
    let mut there = found.iter().filter_map(|found| found.as_ref().ok());
    match (there.next(), there.next()) {
        (Some(node), None) => Ok(*node),
        (Some(_), Some(second)) => Err(wrong(
            second.line,
            format!("several documents have {}: name the one that is meant", set.path),
        )),
        (None, _) => {
            let why = found.into_iter().find_map(Result::err);
            let (line, why) = why.unwrap_or((1, "the file is empty".to_owned()));
            Err(wrong(line, format!("{} is not there: {why}", set.path)))
        }
    }
}

fn no_value(path: &str) -> impl Fn(Wrong) -> ReleaseError + '_ {
    move |(line, message)| ReleaseError::NoValue { file: path.to_owned(), line, message }
}

/// A path within the repository, without `./`.
fn within(path: &str) -> Result<String, ReleaseError> {
    let parts: Vec<_> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let leaves = path.starts_with('/') || path.contains(['\0', '\\']) || parts.contains(&"..");
    if leaves || parts.is_empty() {
        return Err(ReleaseError::NoPath(path.to_owned()));
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct One(&'static str, String);

    impl Files for One {
        fn read(&self, path: &str) -> Result<Option<Vec<u8>>, ReleaseError> {
            Ok((path == self.0).then(|| self.1.clone().into_bytes()))
        }

        fn with(&self, text: &str, folder: &str) -> Result<Vec<String>, ReleaseError> {
            let found = self.1.contains(text) && self.0.starts_with(folder);
            Ok(found.then(|| self.0.to_owned()).into_iter().collect())
        }

        fn commit(&self) -> String {
            "the head".to_owned()
        }
    }

    fn set(text: &str, path: &str, value: &str) -> Result<String, ReleaseError> {
        set_in(text, None, path, value)
    }

    fn set_in(
        text: &str,
        document: Option<&str>,
        path: &str,
        value: &str,
    ) -> Result<String, ReleaseError> {
        let set = Set {
            file: "./apps/web.yaml".to_owned(),
            document: document.map(|name| name.parse().unwrap()),
            path: path.parse().unwrap(),
            value: value.to_owned(),
        };
        let change = Change { sets: vec![set], ..Change::default() };
        let changed = change.apply(&One("apps/web.yaml", text.to_owned()))?;
        let content =
            changed.into_iter().next().map(|(_, content)| String::from_utf8(content).unwrap());
        Ok(content.unwrap_or_else(|| text.to_owned()))
    }

    #[test]
    fn only_the_value_changes() {
        let text = "\u{feff}# kept\r\nkind: Deployment # kept\r\nspec:\r\n    containers:\r\n    - name: web\r\n      \
                    image: &image \"web:1\"   # kept\r\n      copy: *image\r\n    other: {a:   [1,2]}";
        let path = "spec.containers[name=web].image";
        assert_eq!(set(text, path, "web:2").unwrap(), text.replace("web:1", "web:2"));
        assert_eq!(set(text, path, "web:1").unwrap(), text);
    }

    #[test]
    fn of_several_documents_one_is_meant() {
        let text =
            "kind: A\nmetadata: {name: x}\nimage: a\n---\nkind: B\nmetadata: {name: x}\nimage: b\n";
        assert!(set(text, "image", "c").unwrap_err().to_string().contains("several documents"));
        let changed = set_in(text, Some("B/x"), "image", "c").unwrap();
        assert_eq!(changed, text.replace("image: b", "image: c"));
        let error = set_in(text, Some("C/x"), "image", "c").unwrap_err();
        assert!(error.to_string().contains("0 documents are C/x"), "{error}");
    }

    #[test]
    fn what_cannot_be_set_is_told_with_its_place() {
        for (text, path, said) in [
            ("a: {b: 1}\n", "a", "apps/web.yaml:1: a mapping stands there"),
            ("a: &x 1\nb: *x\n", "b", "apps/web.yaml:2: an alias stands there"),
            ("a: |\n  x\n", "a", "a block of text"),
            ("a:\nb: 1\n", "a", "nothing stands there"),
            ("a: 1\n", "b", "apps/web.yaml:1: b is not there: there is no `b`"),
            ("", "b", "the file is empty"),
            ("a: [\n", "a", "apps/web.yaml:"),
        ] {
            let error = set(text, path, "x").unwrap_err().to_string();
            assert!(error.contains(said), "{text:?}: {error}");
        }
        let change = Change::default();
        assert!(matches!(change.apply(&One("a", String::new())), Err(ReleaseError::NoChange)));
        for path in ["/etc/passwd", "../x", "a/../../x", ""] {
            assert!(matches!(within(path), Err(ReleaseError::NoPath(_))), "{path}");
        }
    }

    #[test]
    fn images_and_policies_name_their_files() {
        let text = "images:\n- name: web\n  newTag: v1 # {\"$imagepolicy\": \"ns:web:tag\"}\n";
        let files = One("apps/kustomization.yaml", text.to_owned());
        let image: KustomizationImage = "web:v2".parse().unwrap();
        let change = Change { images: vec![image.clone().within("apps")], ..Change::default() };
        let changed = change.apply(&files).unwrap();
        assert_eq!(changed[0].1, text.replace("v1", "v2").into_bytes());
        let elsewhere = Change { images: vec![image.within("lost")], ..Change::default() };
        let error = elsewhere.apply(&files).unwrap_err();
        assert!(error.to_string().contains("no lost/kustomization.yaml at the head"), "{error}");

        let policy = |name: &str| Change {
            policies: vec![PolicyImage {
                policy: name.to_owned(),
                image: "web:v3".parse().unwrap(),
                folder: String::new(),
            }],
            ..Change::default()
        };
        assert_eq!(
            policy("ns:web").apply(&files).unwrap()[0].1,
            text.replace("v1", "v3").into_bytes()
        );
        assert!(matches!(policy("ns:db").apply(&files), Err(ReleaseError::NoMarker { .. })));
    }

    proptest! {
        /// Whatever the value, the file reads back as it was but for the value.
        #[test]
        fn any_value_can_be_set(value in "[^\\x00-\\x1f\\x7f-\\x9f\u{2028}\u{2029}\u{feff}\u{fffe}\u{ffff}]{0,40}", style in 0..3_usize) {
            let written = ["plain", "'single'", "\"double\""][style];
            let text = format!("before: [a, b]\nlist:\n- key: {written} # kept\n- {{c: d}}\n");
            let changed = set(&text, "list[0].key", &value).unwrap();
            let (head, tail) = text.split_once(written).unwrap();
            prop_assert!(changed.starts_with(head) && changed.ends_with(tail), "{changed}");
            let file = yaml::parse(&changed).unwrap();
            let path: YamlPath = "list[0].key".parse().unwrap();
            prop_assert_eq!(path.find(&file.documents[0].root).unwrap().text(), Some(&*value));
        }
    }
}
