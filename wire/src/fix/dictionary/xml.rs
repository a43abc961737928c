//! A dictionary as clients' engines read it: XML in the format of QuickFIX.

use std::fmt::Write;

use super::{
    Dictionary, FIELDS, Group, Kind, MessageDef,
    fields::{FieldDef, place},
};

/// The name of a type there.
const fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::String => "STRING",
        Kind::Char => "CHAR",
        Kind::Int => "INT",
        Kind::SeqNum => "SEQNUM",
        Kind::NumInGroup => "NUMINGROUP",
        Kind::Length => "LENGTH",
        Kind::Data => "DATA",
        Kind::Price => "PRICE",
        Kind::PriceOffset => "PRICEOFFSET",
        Kind::Qty => "QTY",
        Kind::Boolean => "BOOLEAN",
        Kind::UtcTimestamp => "UTCTIMESTAMP",
        Kind::UtcDateOnly => "UTCDATEONLY",
        Kind::UtcTimeOnly => "UTCTIMEONLY",
        Kind::LocalMktDate => "LOCALMKTDATE",
        Kind::MonthYear => "MONTHYEAR",
        Kind::Currency => "CURRENCY",
        Kind::Exchange => "EXCHANGE",
        Kind::MultipleValueString => "MULTIPLEVALUESTRING",
    }
}

/// The dictionaries of a version. FIX 5.0 needs two there, one for the transport and one for the application: this gives the
/// one or the other; FIX 4.4 has all in one, whatever is asked.
#[must_use]
pub fn xml(dictionary: &Dictionary, transport: bool) -> String {
    let is_fixt = dictionary.begin_string.starts_with("FIXT");
    let (kind, major, minor, service_pack) = match (is_fixt, transport) {
        (false, _) => ("FIX", 4, 4, 0),
        (true, true) => ("FIXT", 1, 1, 0),
        (true, false) => ("FIX", 5, 0, 2),
    };
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "<fix type=\"{kind}\" major=\"{major}\" minor=\"{minor}\" servicepack=\"{service_pack}\">"
    );
    let (framing, header, trailer) = match (is_fixt, transport) {
        (true, false) => (&[][..], None, None),
        _ => (&[8, 9, 35][..], Some(dictionary.header), Some(dictionary.trailer)),
    };
    part(&mut text, "header", framing, header);
    text += " <messages>\n";
    for message in dictionary.messages.iter().copied().flatten() {
        if is_fixt && message.admin != transport {
            continue;
        }
        let category = if message.admin { "admin" } else { "app" };
        let _ = writeln!(
            text,
            "  <message name=\"{}\" msgtype=\"{}\" msgcat=\"{category}\">",
            message.name, message.msg_type
        );
        members(&mut text, message);
        text += "  </message>\n";
    }
    text += " </messages>\n";
    part(&mut text, "trailer", if header.is_some() { &[10] } else { &[] }, trailer);
    text += " <components/>\n <fields>\n";
    for field in FIELDS {
        definition(&mut text, field);
    }
    text += " </fields>\n</fix>\n";
    text
}

/// The header or the trailer. `framing`: what is part of every message and of no table.
fn part(text: &mut String, name: &str, framing: &[u16], def: Option<&MessageDef>) {
    let Some(def) = def else {
        let _ = writeln!(text, " <{name}/>");
        return;
    };
    let _ = writeln!(text, " <{name}>");
    if name == "header" {
        framing.iter().for_each(|tag| member(text, 2, *tag, true));
    }
    members(text, def);
    if name == "trailer" {
        framing.iter().for_each(|tag| member(text, 2, *tag, true));
    }
    let _ = writeln!(text, " </{name}>");
}

fn members(text: &mut String, def: &MessageDef) {
    def.required.iter().for_each(|tag| member(text, 2, *tag, true));
    def.optional.iter().copied().flatten().for_each(|tag| member(text, 2, *tag, false));
    def.groups.iter().for_each(|own| group(text, 2, own));
}

fn member(text: &mut String, depth: usize, tag: u16, required: bool) {
    let required = if required { 'Y' } else { 'N' };
    let _ = writeln!(text, "{:depth$} <field name=\"{}\" required=\"{required}\"/>", "", name(tag));
}

fn group(text: &mut String, depth: usize, own: &Group) {
    let _ = writeln!(text, "{:depth$} <group name=\"{}\" required=\"N\">", "", name(own.count));
    for (at, tag) in own.fields.iter().enumerate() {
        member(text, depth + 1, *tag, at == 0);
    }
    own.groups.iter().for_each(|inner| group(text, depth + 1, inner));
    let _ = writeln!(text, "{:depth$} </group>", "");
}

fn name(tag: u16) -> &'static str {
    place(tag.into()).map_or("", |place| FIELDS[place].name)
}

fn definition(text: &mut String, field: &FieldDef) {
    let FieldDef { tag, name, kind, values, letters: _ } = field;
    let head = format!("  <field number=\"{tag}\" name=\"{name}\" type=\"{}\"", type_name(*kind));
    if values.is_empty() {
        let _ = writeln!(text, "{head}/>");
        return;
    }
    let _ = writeln!(text, "{head}>");
    for (value, meaning) in *values {
        let _ = writeln!(text, "   <value enum=\"{value}\" description=\"{meaning}\"/>");
    }
    text.push_str("  </field>\n");
}
