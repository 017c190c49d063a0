//! Drawing a badge.

/// The height of a line, in pixels.
const HEIGHT: u32 = 20;

/// The size of the letters, in pixels.
const FONT_SIZE: u32 = 11;

/// The space on either side of a text, in pixels.
const PADDING: u32 = 6;

/// What a state looks like. White letters can be read on each: the contrast is 4.5 to 1 or more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Colour {
    Blue,
    Green,
    Grey,
    Red,
}

impl Colour {
    fn as_str(self) -> &'static str {
        match self {
            Self::Blue => "#0969da",
            Self::Green => "#1a7f37",
            Self::Grey => "#656d76",
            Self::Red => "#cf222e",
        }
    }
}

/// Draws a label and, on a colour, what is said of it. Nobody need see it: both are in its name too.
pub(super) fn draw(label: &str, words: &str, colour: Colour) -> String {
    let (left, right) = (width(label), width(words));
    let middle = left + 2 * PADDING;
    let whole = middle + right + 2 * PADDING;
    let words_at = middle + PADDING;
    let colour = colour.as_str();
    let (label, words) = (escape(label), escape(words));
    // With their length given, the letters of any font fill the space that was made for them.
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="{HEIGHT}" role="img" aria-label="{label}: {words}">
<title>{label}: {words}</title>
<clipPath id="shape"><rect width="{whole}" height="{HEIGHT}" rx="3"/></clipPath>
<g clip-path="url(#shape)"><rect width="{middle}" height="{HEIGHT}" fill="#424a53"/><rect x="{middle}" width="{right_part}" height="{HEIGHT}" fill="{colour}"/></g>
<g fill="#fff" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="{FONT_SIZE}"><text x="{PADDING}" y="14" textLength="{left}">{label}</text><text x="{words_at}" y="14" textLength="{right}">{words}</text></g>
</svg>
"##,
        right_part = whole - middle,
    )
}

/// About how wide a text is in Verdana, in pixels.
fn width(text: &str) -> u32 {
    (text.chars().map(advance).sum::<u32>() * FONT_SIZE).div_ceil(1000)
}

/// How wide a letter is, in thousandths of the font's size.
fn advance(letter: char) -> u32 {
    match letter {
        'i' | 'l' => 274,
        'f' | 'j' | ' ' => 350,
        '.' => 364,
        't' => 394,
        'r' => 427,
        '-' => 454,
        'c' | 's' | 'z' => 522,
        'k' | 'v' | 'x' | 'y' => 592,
        'a' | 'e' | 'o' => 602,
        'w' => 818,
        'm' => 973,
        _ => 634,
    }
}

/// Makes a text a text in XML, whatever it is.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup() {
        let svg = draw("<script>&\"'", "x", Colour::Grey);
        assert!(!svg.contains("<script"), "{svg}");
        assert_eq!(svg.matches("&lt;script&gt;&amp;&quot;&#39;").count(), 3, "{svg}");
    }

    #[test]
    fn white_letters_can_be_read_on_every_colour() {
        for colour in [Colour::Blue, Colour::Green, Colour::Grey, Colour::Red] {
            let contrast = 1.05 / (luminance(colour.as_str()) + 0.05);
            assert!(contrast >= 4.5, "{colour:?}: {contrast}");
        }
    }

    /// As WCAG 2 defines it.
    fn luminance(colour: &str) -> f64 {
        let part = |at: usize| {
            let digits = colour.get(at..at + 2).unwrap();
            let part = f64::from(u8::from_str_radix(digits, 16).unwrap()) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
    }
}
