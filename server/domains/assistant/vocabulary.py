"""Words that say little, and words that mean the same, in Hebrew and English."""

from __future__ import annotations


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


GREETINGS = _words("""
    hi hello hey hiya howdy shalom good morning evening afternoon night day there dear היי הי שלום אהלן
    הלו בוקר ערב צהריים לילה טוב טובה אור מה נשמע קורה שבוע יום שבת חג שמח
""")
# Without one of these, the words above are no greeting: "night" or "day" alone asks something.
GREETING_CORES = _words("""
    hi hello hey hiya howdy shalom good היי הי שלום אהלן הלו טוב אור נשמע קורה
""")
THANKS = _words("""
    thanks thank you thx ty much very so a lot ok okay good great perfect cool nice super got it alright bye
    goodbye appreciate appreciated many תודה רבה אוקיי אוקי מעולה מצוין סבבה אחלה טוב יופי הבנתי בסדר
    גמור ביי להתראות המון לכם לך מושלם
""")
THANKS_CORES = _words("""
    thanks thank thx ty ok okay good great perfect cool nice super alright bye goodbye appreciate
    appreciated got תודה אוקיי אוקי מעולה מצוין סבבה אחלה טוב יופי הבנתי בסדר ביי להתראות מושלם
""")
# Who asks for a person gets one, whatever else the message says.
PERSON = _words("""
    human manager representative supervisor operator נציג נציגה נציגים מנהל מנהלת אנושי אנושית
""")
STOP_WORDS = _words("""
    a an the and or but if so of to in on at by for from with without as is are am was were be been
    being do does did done have has had having can could will would shall should may might must i me my
    mine we us our you your yours he she it its they them their this that these those there here what
    which who whom whose how why any some all no not yes please thanks thank hi hello hey good morning
    evening afternoon just also too very really about into out up down off over then than now get got
    give need want like know tell let ask question looking look hope help ve re ll don doesn didn isn
    aren im much many new long still again one someone somebody anyone anybody thing something anything
    possible maybe say said see ok okay dear sir madam guys exactly more info information details
    detail interested come hear make made take takes took אני אתה את אתם אתן הוא היא הם הן אנחנו אנו זה
    זו זאת אלה אלו של שלי שלך שלכם שלנו שלו שלה לי לך לכם לנו לו לה להם אותי אותך אותו אותה אותנו אתכם
    איתי עם על אל אם או גם רק כן לא אז כי אבל יש אין היה היתה הייתה יהיה להיות מה מי איך למה איזה איזו
    אילו האם כל עוד כבר מאוד מאד ממש קצת פה כאן שם היי הי שלום תודה רבה בוקר ערב טוב בבקשה אפשר אפשרי
    ניתן יכול יכולה יכולים יכולות צריך צריכה צריכים צריכות רוצה רוצים רציתי רצה אשמח נשמח לדעת לשאול
    שאלה להבין לקבל מידע פרטים בנוגע לגבי בקשר אצלכם אצלך אולי משהו מישהו כזה כזאת עכשיו בערך תוך ביום
    ליד עובדים עובד עובדת מקבלים להראות עושים עושה לעשות הזה הזאת הזו שאני שאתם שיש ויש וגם לפני אחרי
    בין כמו מתכוון אגב סליחה תוכלו תוכל תוכלי אוכל נוכל אנא הנה ואני ואם ומה וכמה בשביל עבור אליכם אליי
    אלי דבר נא
""")

# Each line is one thing that customers ask every business for; a word stands for its whole line.
_KIN = """
    price prices pricing cost costs fee fees charge rate quote מחיר מחירים עולה עולים עלות תעריף
    hours open opens closed close when שעות פתוחה פתוח פתוחים סגור סגורים סוגרים פותחים מתי
    address where located location street כתובת איפה היכן רחוב ממוקמים נמצאים יושבים
    pay payment paying paid cash credit invoice תשלום תשלומים לשלם משלמים מזומן אשראי ביט חשבונית
    area areas serve service region travel אזור אזורים שירות מגיעים
    fast quick quickly soon arrive arrival wait eta להגיע תגיעו מגיעים הגעה דקות מהר זמן
    warranty guarantee guaranteed אחריות
    emergency urgent urgently חירום דחוף בדחיפות דחופה
    night saturday shabbat weekend midnight לילה שבת סופש
    replace replacing replacement change changing swap להחליף החלפה החלפת מחליפים
    open opening unlock לפתוח פתיחה פתיחת פותחים פריצה פריצת לפרוץ פורצים
    copy copies duplicate duplicating cut שכפול לשכפל משכפלים העתק
    car vehicle auto רכב אוטו מכונית
    park parking חניה חנייה חניון לחנות
    id identity identification document paper proof prove תעודה תעודת זהות מסמך מזהה הוכחה הוכחת
    cylinder cylinders צילינדר צילינדרים
    locked stuck shut out ננעלתי ננעלנו ננעלה נטרקה תקוע תקועה בחוץ
"""
KIN: tuple[tuple[str, ...], ...] = tuple(tuple(line.split()) for line in _KIN.strip().splitlines())
PRICE = KIN[0]
