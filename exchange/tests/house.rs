//! The house is built as it is drawn: `docs/architecture.md` against cargo's metadata and the sources, `SECURITY.md` against
//! the tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The workspace's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_path_buf()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rows of a table in `docs/architecture.md` whose first column is headed so, each as its cells.
fn table(first_column: &str) -> Vec<Vec<String>> {
    table_of("docs/architecture.md", first_column)
}

fn table_of(document: &str, first_column: &str) -> Vec<Vec<String>> {
    let text = read(&root().join(document));
    let head = format!("| {first_column} |");
    let rows: Vec<Vec<String>> = text
        .lines()
        .skip_while(|line| !line.starts_with(&head))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect();
    assert!(!rows.is_empty(), "{document} has a table headed \"{first_column}\"");
    rows
}

/// What stands between backticks in a cell.
fn names(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Every tracked kind of file below the root that ends so.
fn files(extension: &str) -> Vec<PathBuf> {
    fn walk(dir: &Path, extension: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).expect("a readable directory") {
            let path = entry.expect("a readable entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with('.')
                    && !["target", "corpus", "artifacts", "node_modules"].contains(&&*name)
                {
                    walk(&path, extension, found);
                }
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), extension, &mut found);
    found.sort();
    found
}

/// What cargo says of the workspace.
fn metadata() -> serde_json::Value {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"])
        .arg(root().join("Cargo.toml"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo speaks JSON")
}

#[test]
fn no_room_knows_another_that_the_drawing_does_not_show() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let name_of = |value: &serde_json::Value| value["name"].as_str().expect("a name").to_owned();
    let rooms: BTreeSet<String> = packages.iter().map(name_of).collect();
    let drawn: BTreeMap<String, BTreeSet<String>> = table("room")
        .iter()
        .map(|row| (names(&row[0]).pop_first().expect("a room's name"), names(&row[1])))
        .collect();
    assert_eq!(
        drawn.keys().collect::<Vec<_>>(),
        rooms.iter().collect::<Vec<_>>(),
        "the rooms drawn, and those built"
    );
    for package in packages {
        let room = name_of(package);
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let used = name_of(dependency);
            let itself = used == room; // a test may ask for its own crate with a feature
            let in_tests = used == "seeded" && dependency["kind"] == "dev";
            let allowed = itself || in_tests || !rooms.contains(&used) || drawn[&room].contains(&used);
            assert!(allowed, "{room} -> {used} is not in the table of docs/architecture.md");
            // The two rooms that every other stands on bring nothing in.
            let bare = ["domain", "wire"].contains(&&*room) && dependency["kind"].is_null();
            assert!(
                !bare || rooms.contains(&used),
                "{room} must not depend on {used}, nor on any crate of others"
            );
        }
    }
}

#[test]
fn every_threat_has_tests_that_are_there() {
    let mut tests = BTreeSet::new();
    for path in files("rs") {
        let text = read(&path);
        let mut lines = text.lines().map(str::trim);
        while let Some(line) = lines.next() {
            let named = (line == "#[test]").then(|| lines.next()).flatten();
            let name = named.and_then(|line| line.strip_prefix("fn ")?.split_once('('));
            tests.extend(name.map(|(name, _)| name.to_owned()));
        }
    }
    for row in table_of("SECURITY.md", "threat") {
        let [threat, _, places, named] = &row[..] else { panic!("{row:?} has other cells than four") };
        for place in names(places) {
            assert!(root().join(&place).exists(), "\"{threat}\" is met in {place}, which is not there");
        }
        let named = names(named);
        assert!(!named.is_empty(), "\"{threat}\" has no test");
        for test in named {
            assert!(tests.contains(&test), "\"{threat}\" has a test {test}, which is not there");
        }
    }
}

#[test]
fn unsafe_code_is_where_the_drawing_says() {
    let drawn: BTreeSet<String> = table("file").iter().flat_map(|row| names(&row[0])).collect();
    let mut found = BTreeSet::new();
    for path in files("rs") {
        let relative = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
        if read(&path).lines().any(|line| line.trim_start().starts_with("#![allow(unsafe_code)]")) {
            found.insert(relative);
        }
    }
    assert_eq!(found, drawn, "files that allow unsafe code, and those in docs/architecture.md");
    for package in metadata()["packages"].as_array().expect("packages") {
        let room = package["name"].as_str().expect("a name");
        let manifest = Path::new(package["manifest_path"].as_str().expect("a path"));
        let sources = manifest.parent().expect("it lies in a directory").join("src");
        let crate_root = ["lib.rs", "main.rs"]
            .map(|file| sources.join(file))
            .into_iter()
            .find(|path| path.exists())
            .expect("a crate's root");
        let forbids = read(&crate_root).lines().any(|line| line.starts_with("#![forbid(unsafe_code)]"));
        let has_some = drawn.iter().any(|file| root().join(file).starts_with(&sources));
        assert!(forbids != has_some, "{room} forbids unsafe code at its root, unless it has some by name");
    }
}

#[test]
fn what_documents_point_to_is_there() {
    let mut missing = Vec::new();
    for path in files("md") {
        let text = read(&path);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            let outside = target.is_empty() || target.contains("://") || target.starts_with("mailto:");
            if !outside && !path.parent().expect("a directory").join(target).exists() {
                missing.push(format!("{}: {link}", path.display()));
            }
        }
    }
    // Sources name documents by their path from the root.
    for path in files("rs") {
        for word in read(&path).split(|c: char| !(c.is_ascii_alphanumeric() || "/-_.".contains(c))) {
            let word = word.trim_end_matches('.');
            if word.starts_with("docs/") && word.ends_with(".md") && !root().join(word).exists() {
                missing.push(format!("{}: {word}", path.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
