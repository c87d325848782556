//! What a visitor does in a page: by mouse and by keyboard.

use serde::Deserialize;
use serde_json::{Value, json};

use super::keys::strokes;
use super::page::{LIMIT, Page};
use crate::wait::holds_within;

/// Where a mouse meets an element: in the middle of its first box, once nothing covers it.
const LOCATE: &str = r"(css) => {
  const element = document.querySelector(css);
  if (!element) return { problem: 'there is none' };
  if (element.matches(':disabled')) return { problem: 'it is disabled' };
  element.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });
  const box = [...element.getClientRects()].find((box) => box.width > 0 && box.height > 0);
  if (!box) return { problem: 'it is not shown' };
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  const top = document.elementFromPoint(x, y);
  if (!top) return { problem: 'it is outside of the window' };
  if (!element.contains(top) && top.closest('label')?.control !== element) {
    return { problem: `${top.outerHTML.slice(0, 200)} covers it` };
  }
  return { x, y };
}";
/// Sets the value of a field as its user would have.
const SET_VALUE: &str = r"(css, value) => {
  const element = document.querySelector(css);
  if (!element || element.matches(':disabled')) return false;
  element.focus();
  element.value = value;
  for (const name of ['input', 'change']) element.dispatchEvent(new Event(name, { bubbles: true }));
  return element.value === value;
}";

#[derive(Deserialize)]
struct Spot {
    problem: Option<String>,
    x: Option<f64>,
    y: Option<f64>,
}

impl Page {
    /// Clicks on the first element of a selector with the mouse, once it is there and nothing covers it.
    ///
    /// # Panics
    /// When it cannot be clicked.
    pub async fn click(&self, css: &str) {
        let (x, y) = self.point_at(css).await;
        for (kind, buttons) in [("mousePressed", 1), ("mouseReleased", 0)] {
            let event = json!({
                "type": kind, "x": x, "y": y, "button": "left", "buttons": buttons, "clickCount": 1,
            });
            self.must(self.call("Input.dispatchMouseEvent", event).await).await;
        }
    }

    /// Moves the mouse over the first element of a selector, once it is there and nothing covers it.
    ///
    /// # Panics
    /// When it cannot be reached.
    pub async fn hover(&self, css: &str) {
        self.point_at(css).await;
    }

    async fn point_at(&self, css: &str) -> (f64, f64) {
        let expression = format!("({LOCATE})({})", json!(css));
        let (mut problem, mut spot, mut before) = (String::new(), None, None);
        // What moves still, is not there yet.
        let reached = holds_within(LIMIT, &mut async || {
            match self.run(&expression, None).await.and_then(|spot| as_spot(&spot)) {
                Ok(place) => {
                    before = spot.replace(place);
                    "it moves".clone_into(&mut problem);
                }
                Err(why) => (spot, before, problem) = (None, None, why),
            }
            spot.is_some() && spot == before
        })
        .await;
        let Some((x, y)) = spot.filter(|_| reached) else {
            self.fail(&format!("{css} cannot be reached: {problem}")).await
        };
        let moved = json!({ "type": "mouseMoved", "x": x, "y": y });
        self.must(self.call("Input.dispatchMouseEvent", moved).await).await;
        (x, y)
    }

    /// Presses a key: a character, or `Tab`, `Shift+Tab`, `Enter`, `Escape`, `Space`, `ArrowDown`, `Home`, …
    ///
    /// # Panics
    /// When there is no such key.
    pub async fn press(&self, key: &str) {
        let Some(strokes) = strokes(key) else { self.fail(&format!("there is no key {key}")).await };
        for stroke in strokes {
            self.must(self.call("Input.dispatchKeyEvent", stroke).await).await;
        }
    }

    /// Types a text where the focus is: ASCII by keys, what else there is as from an input method.
    ///
    /// # Panics
    /// When the page does not answer.
    pub async fn type_text(&self, text: &str) {
        for character in text.chars() {
            match character {
                ' ' => self.press("Space").await,
                '!'..='~' if character != '+' => self.press(&character.to_string()).await,
                _ => {
                    let inserted = json!({ "text": character.to_string() });
                    self.must(self.call("Input.insertText", inserted).await).await;
                }
            }
        }
    }

    /// Sets the value of a field that is not typed into (a list to choose from, a date), and tells the page as the browser
    /// would.
    ///
    /// # Panics
    /// When there is no such field, it is disabled, or does not take the value.
    pub async fn set_value(&self, css: &str, value: &str) {
        let expression = format!("({SET_VALUE})({}, {})", json!(css), json!(value));
        self.wait_for(&format!("{css} takes {value}"), &expression).await;
    }
}

fn as_spot(value: &Value) -> Result<(f64, f64), String> {
    let spot = Spot::deserialize(value).map_err(|error| error.to_string())?;
    match spot {
        Spot { problem: Some(problem), .. } => Err(problem),
        Spot { x: Some(x), y: Some(y), .. } => Ok((x, y)),
        Spot { .. } => Err(format!("{value}")),
    }
}
