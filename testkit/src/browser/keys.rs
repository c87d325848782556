//! What the keys of a keyboard send.

use serde_json::{Value, json};

/// Bits of `modifiers`.
const MODIFIERS: [(&str, u8); 4] = [("Alt", 1), ("Control", 2), ("Meta", 4), ("Shift", 8)];
/// Keys with a name: their number, and what they write.
const NAMED: [(&str, u32, &str); 15] = [
    ("Backspace", 8, ""),
    ("Tab", 9, ""),
    ("Enter", 13, "\r"),
    ("Escape", 27, ""),
    ("Space", 32, " "),
    ("PageUp", 33, ""),
    ("PageDown", 34, ""),
    ("End", 35, ""),
    ("Home", 36, ""),
    ("ArrowLeft", 37, ""),
    ("ArrowUp", 38, ""),
    ("ArrowRight", 39, ""),
    ("ArrowDown", 40, ""),
    ("Delete", 46, ""),
    ("F5", 116, ""),
];

/// What `Input.dispatchKeyEvent` takes for pressing and for releasing a key, such as `a`, `Tab` or `Shift+Tab`; `None` if there
/// is no such key.
pub(super) fn strokes(name: &str) -> Option<[Value; 2]> {
    let mut parts: Vec<&str> = name.split('+').collect();
    let key = parts.pop()?;
    let mut modifiers = 0;
    for part in parts {
        modifiers |= MODIFIERS.iter().find(|(name, _)| *name == part)?.1;
    }
    let (key, code, number, text) = match NAMED.iter().find(|(name, ..)| *name == key) {
        Some(&("Space", number, text)) => (" ".to_owned(), "Space".to_owned(), number, text.to_owned()),
        Some(&(name, number, text)) => (name.to_owned(), name.to_owned(), number, text.to_owned()),
        None => character(key)?,
    };
    let mut down = json!({
        "type": "keyDown", "key": key, "code": code, "windowsVirtualKeyCode": number, "modifiers": modifiers,
    });
    let mut up = down.clone();
    up["type"] = "keyUp".into();
    // With Control or Alt it is a command.
    if !text.is_empty() && modifiers & 7 == 0 {
        down["text"] = text.into();
    }
    Some([down, up])
}

fn character(key: &str) -> Option<(String, String, u32, String)> {
    let mut characters = key.chars();
    let (Some(character), None) = (characters.next(), characters.next()) else { return None };
    let large = character.to_ascii_uppercase();
    let code = match large {
        'A'..='Z' => format!("Key{large}"),
        '0'..='9' => format!("Digit{large}"),
        _ => String::new(),
    };
    let number = if large.is_ascii_alphanumeric() { u32::from(large) } else { 0 };
    Some((key.to_owned(), code, number, key.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_names() {
        let [down, up] = strokes("Shift+Tab").unwrap();
        assert_eq!(
            (&down["key"], &down["modifiers"], &down["text"]),
            (&"Tab".into(), &8.into(), &Value::Null)
        );
        assert_eq!((&up["type"], &up["windowsVirtualKeyCode"]), (&"keyUp".into(), &9.into()));
        let [down, _] = strokes("a").unwrap();
        assert_eq!((&down["code"], &down["text"]), (&"KeyA".into(), &"a".into()));
        let [down, _] = strokes("Control+a").unwrap();
        assert_eq!((&down["modifiers"], &down["text"]), (&2.into(), &Value::Null));
        assert_eq!((strokes("Return"), strokes("Hyper+a")), (None, None));
    }
}
