//! Short names of venues, for where room is short.

use crate::market::Venue;

/// Two or three letters: `bin`, `byb`, `okx`, `hl`.
pub fn short(venue: &Venue) -> &str {
    match venue.as_str() {
        "hyperliquid" => "hl",
        name => name.get(..3).unwrap_or(name),
    }
}

/// One letter for each, all different: the first of its name that no venue before it has.
pub fn letters(venues: impl IntoIterator<Item = Venue>) -> Vec<char> {
    let mut taken: Vec<char> = Vec::new();
    for venue in venues {
        let own = venue.as_str().chars().map(|c| c.to_ascii_uppercase());
        let letter = own.chain('A'..='Z').chain('0'..='9').find(|c| !taken.contains(c)).unwrap_or('?');
        taken.push(letter);
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_and_letters_tell_venues_apart() {
        let venues: Vec<Venue> = ["binance", "bybit", "okx", "hyperliquid", "bitget", "bb", "b"]
            .map(|name| name.parse().unwrap())
            .into();
        let names: Vec<&str> = venues.iter().map(short).collect();
        assert_eq!(names, ["bin", "byb", "okx", "hl", "bit", "bb", "b"]);
        assert_eq!(letters(venues), ['B', 'Y', 'O', 'H', 'I', 'A', 'C']);
    }
}
