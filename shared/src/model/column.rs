//! The 34 columns of an order line: names, headings, types and which of them the cells need.

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text; the empty text stands for absent.
    Text,
    /// The order time.
    Time,
    /// Quantity or stock: a whole number of 32 bits.
    Integer,
    /// Money per unit, per line or per order, and the distance in metres: up to 6 decimals.
    Decimal,
}

macro_rules! columns {
    ($($variant:ident $name:literal $kind:ident $cells:literal [$($heading:literal),*];)*) => {
        /// A column of an order line, in table order: the order in which rows are checked, sorted and shown.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Column {
            $(#[doc = $name] $variant,)*
        }

        impl Column {
            /// All columns in table order.
            pub const ALL: [Self; 34] = [$(Self::$variant,)*];

            /// The canonical name, used in files, tables and answers.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it holds.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind,)* }
            }

            /// Whether cells are made from it; the others are read for raw lines only.
            #[must_use]
            pub const fn needed_for_cells(self) -> bool {
                match self { $(Self::$variant => $cells,)* }
            }

            /// Headings of the platform exports, in the order in which they are looked at; the first non-empty
            /// value counts. The store is 门店ID, else 门店名称.
            #[must_use]
            pub const fn platform_headings(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($heading),*],)* }
            }
        }
    };
}

columns! {
    OrderId "order_id" Text true ["订单ID"];
    StoreId "store_id" Text true ["门店ID", "门店名称"];
    StoreName "store_name" Text false ["门店名称"];
    City "city" Text false ["城市名称"];
    OrderedAt "ordered_at" Time true ["下单时间", "日期"];
    Channel "channel" Text true ["渠道"];
    StoreCode "store_code" Text true ["店内码"];
    Barcode "barcode" Text true ["条码"];
    ProductName "product_name" Text true ["商品名称"];
    Category1 "category1" Text true ["一级分类名"];
    Category3 "category3" Text false ["三级分类名"];
    Quantity "quantity" Integer true ["月售", "销量"];
    ListPrice "list_price" Decimal true ["商品原价"];
    ShelfPrice "shelf_price" Decimal false ["商品实售价"];
    PaidPrice "paid_price" Decimal true ["实收价格"];
    Cost "cost" Decimal true ["商品采购成本", "成本"];
    GrossProfit "gross_profit" Decimal true ["利润额"];
    PlatformFee "platform_fee" Decimal true ["平台服务费"];
    Rebate "rebate" Decimal true ["企客后返"];
    ExpectedIncome "expected_income" Decimal false ["预计订单收入"];
    Commission "commission" Decimal false ["平台佣金"];
    DeliveryCost "delivery_cost" Decimal true ["物流配送费"];
    UserDeliveryFee "user_delivery_fee" Decimal true ["用户支付配送费"];
    DeliveryDiscount "delivery_discount" Decimal true ["配送费减免金额"];
    PackagingFee "packaging_fee" Decimal true ["打包袋金额"];
    FullReduction "full_reduction" Decimal true ["满减金额"];
    ProductDiscount "product_discount" Decimal true ["商品减免金额"];
    Voucher "voucher" Decimal true ["商家代金券"];
    VoucherShare "voucher_share" Decimal true ["商家承担部分券"];
    Gift "gift" Decimal true ["满赠金额"];
    OtherDiscount "other_discount" Decimal true ["商家其他优惠"];
    NewCustomerDiscount "new_customer_discount" Decimal true ["新客减免金额"];
    DistanceM "distance_m" Decimal true ["配送距离"];
    Stock "stock" Integer true ["库存", "剩余库存"];
}

impl Column {
    /// The column of a canonical name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|column| column.name() == name)
    }
}

/// Number of text columns.
pub const TEXTS: usize = Column::of_kind(Kind::Text);
/// Number of decimal columns.
pub const DECIMALS: usize = Column::of_kind(Kind::Decimal);

impl Column {
    const fn of_kind(kind: Kind) -> usize {
        let (mut at, mut count) = (0, 0);
        while at < Self::ALL.len() {
            if Self::ALL[at].kind() as u8 == kind as u8 {
                count += 1;
            }
            at += 1;
        }
        count
    }

    /// Its rank among the columns of its kind: where [`super::Lines`] keeps it.
    #[must_use]
    pub const fn slot(self) -> usize {
        let (mut at, mut rank) = (0, 0);
        while at < self as usize {
            if Self::ALL[at].kind() as u8 == self.kind() as u8 {
                rank += 1;
            }
            at += 1;
        }
        rank
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_dense_per_kind() {
        assert_eq!((TEXTS, DECIMALS), (10, 21));
        assert_eq!(Column::OrderId.slot(), 0);
        assert_eq!(Column::Category3.slot(), 9);
        assert_eq!(Column::ListPrice.slot(), 0);
        assert_eq!(Column::DistanceM.slot(), 20);
        assert_eq!(Column::Stock.slot(), 1);
        assert_eq!(Column::from_name("stock"), Some(Column::Stock));
    }
}
