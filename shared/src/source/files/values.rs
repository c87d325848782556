//! From the raw values of a row to an order line: which value counts, what stands in for an absent one, and the
//! order in which faults are looked for.

use super::cell::Cell;
use super::reject::{Fault, RejectReason};
use crate::model::column::Kind;
use crate::model::money::NumberFault;
use crate::model::{ABSENT, Column, Line, Money};

/// For each column the fields of a row that may fill it, in the order in which they are looked at.
pub(in crate::source) type Sources = [Vec<usize>; Column::ALL.len()];

/// Reads rows of one layout; the line is reused from row to row.
#[derive(Debug)]
pub(in crate::source) struct RowReader {
    sources: Sources,
    line: Line,
}

/// Values of a row that others are derived from.
#[derive(Default)]
struct Derivable {
    quantity: Option<i32>,
    shelf_price: Option<Money>,
    paid_price: Option<Money>,
    gross_profit: Option<Money>,
}

impl RowReader {
    pub(in crate::source) fn new(sources: Sources) -> Self {
        Self { sources, line: Line::default() }
    }

    /// The line of a row whose fields are given by `field`, or the first of its faults: column by column, then the
    /// overflow of list price × quantity, paid price × quantity and gross profit.
    pub(in crate::source) fn read<'a>(&mut self, field: impl Fn(usize) -> Cell<'a>) -> Result<&Line, Fault> {
        let mut derivable = Derivable::default();
        for column in Column::ALL {
            let cell = value(&self.sources, column, &field);
            if let Err(reason) = fill(&mut self.line, &mut derivable, column, &cell) {
                let value = if reason == RejectReason::Missing { String::new() } else { cell.raw() };
                return Err(Fault { column: Some(column), reason, value });
            }
        }
        derive(&mut self.line, &derivable).map_err(|column| Fault {
            column: Some(column),
            reason: RejectReason::Overflow,
            value: value(&self.sources, column, &field).raw(),
        })?;
        Ok(&self.line)
    }
}

/// The first non-empty value among the fields of a column.
fn value<'a>(sources: &Sources, column: Column, field: &impl Fn(usize) -> Cell<'a>) -> Cell<'a> {
    sources[column as usize].iter().map(|at| field(*at)).find(|cell| !cell.is_empty()).unwrap_or(Cell::Empty)
}

fn fill(
    line: &mut Line,
    derivable: &mut Derivable,
    column: Column,
    cell: &Cell<'_>,
) -> Result<(), RejectReason> {
    match column.kind() {
        Kind::Text => {
            let text = &mut line.texts[column.slot()];
            text.clear();
            cell.write_text(text)?;
            // PostgreSQL would refuse the whole import for it.
            if text.as_bytes().contains(&0) {
                return Err(RejectReason::BadText);
            }
            if text.is_empty() && matches!(column, Column::OrderId | Column::StoreId) {
                return Err(RejectReason::Missing);
            }
        }
        Kind::Time if cell.is_empty() => return Err(RejectReason::Missing),
        Kind::Time => line.ordered_at = cell.time().ok_or(RejectReason::BadTime)?,
        Kind::Integer => {
            let value = cell.integer()?;
            if column == Column::Quantity {
                derivable.quantity = value;
            } else {
                line.stock = value.map_or(ABSENT, i64::from);
            }
        }
        Kind::Decimal => {
            let value = cell.money()?;
            let absent = if column == Column::DistanceM { ABSENT } else { 0 };
            if column == Column::DistanceM && value == Some(Money(ABSENT)) {
                return Err(NumberFault::Overflow.into());
            }
            line.decimals[column.slot()] = value.map_or(absent, |money| money.0);
            match column {
                Column::ShelfPrice => derivable.shelf_price = value,
                Column::PaidPrice => derivable.paid_price = value,
                Column::GrossProfit => derivable.gross_profit = value,
                _ => {}
            }
        }
    }
    Ok(())
}

/// Fills in what can be derived; the column at fault if a product does not fit.
fn derive(line: &mut Line, derivable: &Derivable) -> Result<(), Column> {
    line.quantity = derivable.quantity.unwrap_or(1);
    let paid = derivable.paid_price.or(derivable.shelf_price).unwrap_or(Money::ZERO);
    line.decimals[Column::PaidPrice.slot()] = paid.0;
    line.money(Column::ListPrice).checked_times(line.quantity).ok_or(Column::ListPrice)?;
    let sales = paid.checked_times(line.quantity).ok_or(Column::PaidPrice)?;
    if derivable.gross_profit.is_none() {
        let cost = line.money(Column::Cost);
        let profit = sales.0.checked_sub(cost.0).ok_or(Column::GrossProfit)?;
        line.decimals[Column::GrossProfit.slot()] = profit;
    }
    Ok(())
}
