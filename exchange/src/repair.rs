//! `exchange repair`: damaged segments of a journal, restored from a copy of it.

use journal::{repair, storage::Files};

use crate::{cli, say::say};

/// The command.
pub(crate) fn repair(args: &cli::Repair) -> Result<(), String> {
    let plan = repair::plan(&args.data, &args.from)
        .map_err(|error| format!("{} is not repaired, and not changed: {error}", args.data.display()))?;
    if plan.replacements().is_empty() {
        say!("the segments in {} are good: there is nothing to repair", args.data.display());
        return Ok(());
    }
    for of in plan.replacements() {
        say!(
            "{}: {}\n    {} be replaced by {}, up to position {}",
            of.file.display(),
            of.what,
            if args.dry_run { "would" } else { "will" },
            of.source.display(),
            of.until
        );
    }
    if args.dry_run {
        say!("nothing has been changed: a dry run");
        return Ok(());
    }
    let repaired = plan.carry_out(&Files).map_err(|error| error.to_string())?;
    for path in &repaired.damaged {
        say!("kept as {}", path.display());
    }
    let verify = repaired.verify;
    for problem in &verify.problems {
        say!("{problem}");
    }
    say!(
        "{} commands, {} reports, to position {}: {}",
        verify.info.commands,
        verify.info.reports,
        verify.info.end,
        if verify.problems.is_empty() { "repaired, and whole" } else { "the segments are repaired" }
    );
    match verify.problems.len() {
        0 => Ok(()),
        left => Err(format!("{} has {left} other problems", args.data.display())),
    }
}
