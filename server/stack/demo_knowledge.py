"""What the demo locksmith knows: the entries its assistant answers from, in Hebrew and English."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """One thing the business tells its customers."""

    title: str
    body: str


HEBREW: tuple[Entry, ...] = (
    Entry(
        "מחיר פריצת דלת",
        "פריצת דלת רגילה שנטרקה עולה 250 ש״ח ביום ו-350 ש״ח בלילה ובשבת. "
        "דלת פלדה נעולה במפתח עולה 390 ש״ח. המחיר כולל הגעה ומע״מ.",
    ),
    Entry(
        "כמה זמן לוקח להגיע",
        "בתל אביב, רמת גן וגבעתיים אנחנו מגיעים בדרך כלל תוך 20 עד 40 דקות.",
    ),
    Entry(
        "החלפת צילינדר",
        "החלפת צילינדר כולל עבודה: צילינדר בסיסי 280 ש״ח, צילינדר ביטחון עם חמישה מפתחות 450 ש״ח.",
    ),
    Entry(
        "החלפת מנעול",
        "החלפת מנעול בדלת פנים עולה 220 ש״ח. מנעול רב בריח לדלת פלדה עולה החל מ-690 ש״ח כולל התקנה.",
    ),
    Entry(
        "שעות פתיחה",
        "החנות פתוחה בימים ראשון עד חמישי 08:00–19:00 ובשישי 08:00–14:00. קריאות חירום בכל שעה.",
    ),
    Entry(
        "חירום בלילה ובשבת",
        "ננעלתם בחוץ בלילה או בשבת? אנחנו זמינים 24 שעות. כתבו כאן את הכתובת ונחזור תוך דקות.",
    ),
    Entry(
        "אזור שירות",
        "אנחנו נותנים שירות בתל אביב, יפו, רמת גן, גבעתיים, בני ברק, חולון ובת ים. "
        "לערים אחרות יש תוספת נסיעה של 80 ש״ח.",
    ),
    Entry(
        "כתובת החנות",
        "רחוב אבן גבירול 71, תל אביב. חניה בחניון הסמוך, והכניסה נגישה לכיסא גלגלים.",
    ),
    Entry("אמצעי תשלום", "אפשר לשלם במזומן, באשראי, בביט או בהעברה בנקאית. חשבונית נשלחת במייל."),
    Entry(
        "אחריות",
        "על מנעולים וצילינדרים יש אחריות לשנה, ועל העבודה אחריות לשלושה חודשים.",
    ),
    Entry(
        "שכפול מפתחות",
        "שכפול מפתח רגיל עולה 15 ש״ח ומפתח ביטחון 60 ש״ח. למפתח ביטחון צריך להביא את כרטיס הקוד.",
    ),
    Entry(
        "פריצת רכב ומפתח לרכב",
        "פתיחת רכב נעול ללא נזק עולה 300 ש״ח. שכפול מפתח לרכב עם שלט עולה החל מ-450 ש״ח לפי הדגם.",
    ),
    Entry(
        "פתיחת כספות",
        "פתיחת כספת ביתית עולה החל מ-500 ש״ח. שלחו תמונה של הכספת ונאמר מחיר מדויק.",
    ),
    Entry(
        "לקבוע הגעה להיום או למחר",
        "אפשר לקבוע להיום או למחר: כתבו כאן כתובת ושעה נוחה, ונאשר תוך כמה דקות.",
    ),
    Entry(
        "הוכחת מגורים",
        "לפני פריצת דלת נבקש תעודה מזהה ומסמך שמראה שאתם גרים במקום. זה מגן עליכם.",
    ),
)

ENGLISH: tuple[Entry, ...] = (
    Entry(
        "Price of opening a locked door",
        "Opening an ordinary door that fell shut costs 250 NIS by day and 350 NIS at night and on Shabbat. "
        "A steel door locked with a key costs 390 NIS. The price includes the visit and VAT.",
    ),
    Entry(
        "How fast we arrive",
        "In Tel Aviv, Ramat Gan and Givatayim we usually arrive within 20 to 40 minutes.",
    ),
    Entry(
        "Replacing a cylinder",
        "Cylinder replacement including work: basic 280 NIS, security cylinder with five keys 450 NIS.",
    ),
    Entry(
        "Replacing a lock",
        "A new lock for an indoor door costs 220 NIS. A multi-point lock for a steel door starts at "
        "690 NIS, fitted.",
    ),
    Entry(
        "Opening hours: when and how late we are open",
        "The shop is open Sunday to Thursday 08:00-19:00 and Friday 08:00-14:00. Emergencies at any hour.",
    ),
    Entry(
        "Emergency at night",
        "Locked out at night or on Shabbat? We answer 24 hours a day. Write your address here and we "
        "come back to you within minutes.",
    ),
    Entry(
        "Service area",
        "We serve Tel Aviv, Jaffa, Ramat Gan, Givatayim, Bnei Brak, Holon and Bat Yam. "
        "Other towns pay 80 NIS more for travel.",
    ),
    Entry(
        "Shop address",
        "71 Ibn Gabirol Street, Tel Aviv. There is a car park next door and step-free access.",
    ),
    Entry(
        "Payment",
        "You can pay in cash, by credit card, with Bit or by bank transfer. The invoice comes by e-mail.",
    ),
    Entry("Warranty", "Locks and cylinders have a one-year warranty, our work three months."),
    Entry(
        "Key copies",
        "An ordinary key copy costs 15 NIS, a security key 60 NIS. Bring the code card for a security key.",
    ),
    Entry(
        "Locked car and car keys",
        "Opening a locked car without damage costs 300 NIS. A car key with remote starts at 450 NIS.",
    ),
    Entry(
        "Opening safes",
        "Opening a home safe starts at 500 NIS. Send a photo of it and we name an exact price.",
    ),
    Entry(
        "Booking a visit or an appointment",
        "You can book for today or tomorrow: write your address and a good hour here, and we confirm "
        "within a few minutes.",
    ),
    Entry(
        "Proof of residence",
        "Before we open a door we ask for an identity card and a paper that shows you live there. "
        "It protects you.",
    ),
)
