//! Accounts: who is behind a position or a maker's inventory, and what `clearinghouseState` tells of them
//! (exchanges.md §6.4).
//!
//! A trader's slot in the market is an account, and its address is worked out from that: whoever takes the slot later,
//! or sits in the same slot of another coin's market, trades under the same address. So addresses come back, hold
//! several coins now and then, and nothing has to be remembered.

use serde_json::{Value, json};

use super::numbers::{float, usd};
use crate::market::Side;
use crate::sim::exchange::View;
use crate::sim::text::{rounded, size};
use crate::sim::world::book::mix;
use crate::sim::world::contract::Contract;
use crate::sim::world::tick::Print;

/// Market makers of a venue.
pub const MAKERS: u32 = 12;
/// What a maker has in cash, USD.
const MAKER_CASH: f64 = 5e8;
/// The leverage makers set.
const MAKER_LEVERAGE: f64 = 3.0;

/// An account: a trader's slot, or a maker counted from the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account(u32);

impl Account {
    /// Whose position this is ([`crate::sim::world::Holding::id`]).
    pub const fn trader(id: u64) -> Self {
        Self((id >> 32) as u32)
    }

    /// One of the makers.
    pub const fn maker(n: u32) -> Self {
        Self(u32::MAX - n % MAKERS)
    }

    const fn as_maker(self) -> Option<usize> {
        let n = u32::MAX - self.0;
        if n < MAKERS { Some(n as usize) } else { None }
    }

    /// Its address, 0x and 40 hexadecimal digits.
    pub fn address(self) -> String {
        let seed = u64::from(self.0);
        format!("0x{:016x}{:016x}{:08x}", mix(seed), mix(!seed), self.0 ^ 0x5ca1_ab1e)
    }

    /// Whose address this is; `None` if it is nobody's here.
    pub fn of(address: &str) -> Option<Self> {
        let address = address.to_ascii_lowercase();
        let tail = address.get(34..)?;
        let account = Self(u32::from_str_radix(tail, 16).ok()? ^ 0x5ca1_ab1e);
        (account.address() == address).then_some(account)
    }
}

/// Who bought and who sold in the fills of a print. One taker is behind all of them; the first meets the other trader,
/// if one is named; the rest is makers.
pub fn sides(print: &Print, fill: u64) -> [Account; 2] {
    let dice = mix(fill);
    let maker = (dice % u64::from(MAKERS)) as u32;
    let named = |id: u64, shift: u32| {
        if id == 0 { Account::maker(maker + shift) } else { Account::trader(id) }
    };
    let first = fill == print.first_fill;
    let other = |id: u64| if first { id } else { 0 };
    // A maker does not trade with itself.
    let shift = 1 + (dice >> 32) as u32 % (MAKERS - 1);
    if print.taker_buys {
        [named(print.buyer, shift), named(other(print.seller), 0)]
    } else {
        [named(other(print.buyer), 0), named(print.seller, shift)]
    }
}

/// What an account holds in one coin.
#[derive(Debug)]
pub(super) struct Position {
    json: Value,
    isolated: bool,
    // The rest is USD: what it is worth at mark, the margin it takes, the money put in less what was bought, and
    // what that and the position are worth together.
    value: f64,
    used: f64,
    raw: f64,
    worth: f64,
    maintenance: f64,
}

/// What an account holds in the market of a view.
pub(super) fn position(account: Account, view: &View<'_>) -> Option<Position> {
    let (contract, mark) = (view.contract, view.history.now.mark);
    let (world, desk) = view.world?;
    if let Some(n) = account.as_maker() {
        let lots = *world.inventories(desk).get(n)?;
        // What makers paid is not simulated.
        let terms = Terms { lots, entry: view.history.now.index, liquidation: 0.0, margin: None };
        return (lots != 0).then(|| terms.position(contract, mark));
    }
    let holding = world.holdings(desk).find(|holding| Account::trader(holding.id) == account)?;
    let sign = if holding.side == Side::Long { 1 } else { -1 };
    let terms = Terms {
        lots: sign * holding.lots,
        entry: holding.entry,
        liquidation: holding.liquidation,
        margin: Some(holding.margin),
    };
    Some(terms.position(contract, mark))
}

/// A position as the market has it.
#[derive(Debug)]
struct Terms {
    /// Negative for a short.
    lots: i64,
    /// USD per quoted unit.
    entry: f64,
    /// USD per quoted unit, 0 for none.
    liquidation: f64,
    /// USD of an isolated position.
    margin: Option<f64>,
}

impl Terms {
    fn position(&self, contract: &Contract, mark: f64) -> Position {
        let qty = contract.qty_of(self.lots);
        let (value, paid) = (qty.abs() * mark, qty.abs() * self.entry);
        let profit = qty * (mark - self.entry);
        let highest = contract.tiers.first().map_or(1.0, |tier| tier.max_leverage);
        let leverage = match self.margin {
            Some(margin) => (paid / margin).round().clamp(1.0, highest),
            None => MAKER_LEVERAGE,
        };
        let raw = self.margin.map_or(-qty * self.entry, |margin| margin - qty * self.entry);
        let used = self.margin.map_or(value / leverage, |margin| margin + profit);
        let setting = match self.margin {
            Some(_) => json!({ "type": "isolated", "value": leverage as u32, "rawUsd": usd(raw) }),
            None => json!({ "type": "cross", "value": leverage as u32 }),
        };
        let liquidation = (self.liquidation > 0.0).then(|| float(rounded(self.liquidation, 8)));
        let decimals = contract.price_decimals as i32 + 2;
        let json = json!({
            "type": "oneWay",
            "position": {
                "coin": contract.symbol,
                "szi": float(size(contract, self.lots)),
                "leverage": setting,
                "entryPx": float(rounded(self.entry, decimals)),
                "positionValue": usd(value),
                "unrealizedPnl": usd(profit),
                "returnOnEquity": float(rounded(profit * leverage / paid.max(1e-9), 8)),
                "liquidationPx": liquidation,
                "marginUsed": usd(used),
                "maxLeverage": highest as u32,
                "cumFunding": { "allTime": "0.0", "sinceOpen": "0.0", "sinceChange": "0.0" },
            },
        });
        let maintenance = value * contract.tiers.first().map_or(0.0, |tier| tier.rate);
        Position {
            json,
            isolated: self.margin.is_some(),
            value,
            used,
            raw,
            worth: raw + qty * mark,
            maintenance,
        }
    }
}

/// The state of an account with these positions, told with the venue's time.
pub(super) fn state(account: Option<Account>, positions: &[Position], now_ms: i64) -> Value {
    let cash = match account {
        None => 0.0,
        Some(account) if account.as_maker().is_some() => MAKER_CASH,
        Some(account) => (mix(u64::from(account.0)) % 1_000_000) as f64 / 100.0,
    };
    let all: Vec<&Position> = positions.iter().collect();
    let cross: Vec<&Position> = positions.iter().filter(|p| !p.isolated).collect();
    let sum = |of: &[&Position], what: fn(&Position) -> f64| of.iter().map(|p| what(p)).sum::<f64>();
    let value = |of: &[&Position]| cash + sum(of, |p| p.worth);
    let summary = |of: &[&Position]| {
        json!({
            "accountValue": usd(value(of)),
            "totalNtlPos": usd(sum(of, |p| p.value)),
            "totalRawUsd": usd(cash + sum(of, |p| p.raw)),
            "totalMarginUsed": usd(sum(of, |p| p.used)),
        })
    };
    json!({
        "marginSummary": summary(&all),
        "crossMarginSummary": summary(&cross),
        "crossMaintenanceMarginUsed": usd(sum(&cross, |p| p.maintenance)),
        "withdrawable": usd((value(&cross) - sum(&cross, |p| p.used)).max(0.0)),
        "assetPositions": positions.iter().map(|p| p.json.clone()).collect::<Vec<_>>(),
        "time": now_ms,
    })
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::collections::BTreeSet;

    use super::*;
    use crate::sim::contracts::hyperliquid::CONTRACTS;
    use crate::sim::listing::Listing;
    use crate::sim::venue::VenueId;
    use crate::sim::world::scenario::Scenario;

    const AT: i64 = 1_763_800_000_437;

    fn print(taker_buys: bool, buyer: u64, seller: u64) -> Print {
        Print { ms: 1, ticks: 2, lots: 9, taker_buys, id: 3, first_fill: 40, last_fill: 42, buyer, seller }
    }

    #[test]
    fn addresses_are_read_back_and_no_others() {
        for account in [Account::trader(7 << 32 | 5), Account::maker(0), Account::maker(11)] {
            let address = account.address();
            assert_eq!((address.len(), &address[..2]), (42, "0x"));
            assert_eq!(Account::of(&address), Some(account));
            assert_eq!(Account::of(&address.to_uppercase().replace("0X", "0x")), Some(account));
        }
        assert_eq!(Account::trader(7 << 32 | 5), Account::trader(7 << 32 | 6), "the next tenant of the slot");
        for other in ["", "0x", "0x00000000000000000000000000000000000000ab", "币安人生币安人生币安人生"]
        {
            assert_eq!(Account::of(other), None, "{other}");
        }
    }

    #[test]
    fn the_taker_is_in_all_fills_and_the_other_trader_in_the_first() {
        let [taker, other] = [7 << 32 | 1, 8 << 32 | 1];
        let [a, b] = [Account::trader(taker), Account::trader(other)];
        let bought = print(true, taker, other);
        assert_eq!(sides(&bought, 40), [a, b], "buyer first");
        for fill in [41, 42] {
            let [buyer, seller] = sides(&bought, fill);
            assert!(buyer == a && seller.as_maker().is_some());
        }
        assert_eq!(sides(&print(false, other, taker), 40), [b, a], "buyer first, whoever took");
        for fill in 0..500 {
            let [buyer, seller] = sides(&print(fill % 2 == 0, 0, 0), fill);
            assert!(buyer.as_maker().is_some() && seller.as_maker().is_some() && buyer != seller);
        }
    }

    #[test]
    fn an_isolated_position_is_told_by_the_formula_of_the_sheet() {
        // exchanges.md §13: E 60,000, L 20, m 0.0125: the long is liquidated at 57,721.52.
        let terms =
            Terms { lots: 100_000, entry: 60_000.0, liquidation: 57_721.518_987, margin: Some(3_000.0) };
        let told = terms.position(&CONTRACTS[0], 59_000.0);
        let expected = json!({"type":"oneWay","position":{"coin":"BTC","szi":"1.0",
            "leverage":{"type":"isolated","value":20,"rawUsd":"-57000.0"},"entryPx":"60000.0",
            "positionValue":"59000.0","unrealizedPnl":"-1000.0","returnOnEquity":"-0.33333333",
            "liquidationPx":"57721.518987","marginUsed":"2000.0","maxLeverage":40,
            "cumFunding":{"allTime":"0.0","sinceOpen":"0.0","sinceChange":"0.0"}}});
        assert_eq!(told.json, expected);
        let state = state(None, &[told], 5);
        assert_eq!(
            state["marginSummary"],
            json!({"accountValue":"2000.0","totalNtlPos":"59000.0","totalRawUsd":"-57000.0","totalMarginUsed":"2000.0"})
        );
        assert_eq!(
            (&state["crossMarginSummary"]["accountValue"], &state["time"]),
            (&json!("0.0"), &json!(5))
        );
    }

    #[test]
    fn a_short_without_margin_of_its_own_is_cross_and_has_no_liquidation_price() {
        let terms = Terms { lots: -100_000, entry: 60_000.0, liquidation: 0.0, margin: None };
        let told = terms.position(&CONTRACTS[0], 59_000.0);
        let position = &told.json["position"];
        assert_eq!((&position["szi"], &position["liquidationPx"]), (&json!("-1.0"), &Value::Null));
        assert_eq!(position["leverage"], json!({"type":"cross","value":3}));
        let state = state(Some(Account::maker(1)), &[told], 5);
        let [all, cross] = ["marginSummary", "crossMarginSummary"].map(|key| state[key].clone());
        assert_eq!(all, cross);
        assert_eq!(
            (&all["accountValue"], &all["totalRawUsd"]),
            (&json!("500001000.0"), &json!("500060000.0"))
        );
        assert_eq!(state["crossMaintenanceMarginUsed"], "737.5", "59,000 × 0.0125");
    }

    #[test]
    fn what_all_accounts_hold_is_the_open_interest_on_either_side() {
        let listing = Listing::build(0, Scenario::Base, 1, AT);
        let (world, desk) = listing.world(VenueId::Hyperliquid).unwrap();
        let history = listing.history(VenueId::Hyperliquid).unwrap();
        let view = View {
            contract: &CONTRACTS[0],
            index: 0,
            history: Cow::Borrowed(history),
            world: Some((world, desk)),
            now_ms: AT,
            at: AT,
        };
        assert_eq!(world.inventories(desk).len(), MAKERS as usize);
        let makers = (0..MAKERS).map(Account::maker);
        let accounts: Vec<_> = world.holdings(desk).map(|h| Account::trader(h.id)).chain(makers).collect();
        let addresses: BTreeSet<_> = accounts.iter().map(|account| account.address()).collect();
        assert_eq!(addresses.len(), accounts.len(), "one address each");
        let (mut long, mut short) = (0.0, 0.0);
        for account in accounts {
            let Some(position) = position(account, &view) else { continue };
            let szi: f64 = position.json["position"]["szi"].as_str().unwrap().parse().unwrap();
            *if szi > 0.0 { &mut long } else { &mut short } += szi.abs();
        }
        let interest = history.now.open_interest as f64 / 1e5;
        assert!(
            (long - interest).abs() < 1e-3 && (short - interest).abs() < 1e-3,
            "{long} {short} {interest}"
        );
    }
}
