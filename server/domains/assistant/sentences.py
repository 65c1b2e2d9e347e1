"""What the assistant says in its own words, in the customer's language."""

from __future__ import annotations

from collections.abc import Mapping

HANDED_OVER: Mapping[str, str] = {
    "he": "תודה שפנית אלינו! העברתי את ההודעה לצוות, ואדם מהצוות ישיב לך כאן בהקדם.",
    "en": "Thanks for your message! I passed it on, and a person from our team will reply here soon.",
    "ar": "شكرًا لتواصلك معنا! لقد نقلت رسالتك إلى الفريق، وسيرد عليك أحد أفراده هنا قريبًا.",
    "ru": "Спасибо за сообщение! Я передал его команде, и сотрудник скоро ответит вам здесь.",
}
MEDIA_RECEIVED: Mapping[str, str] = {
    "he": "קיבלנו, תודה! אדם מהצוות יסתכל על זה וישיב לך כאן בהקדם.",
    "en": "Got it, thank you! A person from our team will look at it and reply here soon.",
    "ar": "وصلنا، شكرًا! سيطّلع عليه أحد أفراد الفريق ويرد عليك هنا قريبًا.",
    "ru": "Получили, спасибо! Сотрудник посмотрит и скоро ответит вам здесь.",
}
GREETING: Mapping[str, str] = {
    "he": "שלום! הגעת אל {business}. במה אפשר לעזור?",
    "en": "Hello! You have reached {business}. How can we help?",
}
WELCOME: Mapping[str, str] = {
    "he": "בשמחה! אנחנו כאן לכל שאלה.",
    "en": "You're welcome! We are here if you have any question.",
}
OFF_TOPIC: Mapping[str, str] = {
    "he": "אני יכול לעזור כאן רק בנושאים של {business}. במה אפשר לעזור?",
    "en": "I can only help with questions about {business} here. What can I do for you?",
    "ar": "يمكنني المساعدة هنا في أمور {business} فقط. كيف يمكنني مساعدتك؟",
    "ru": "Здесь я могу помочь только с вопросами о {business}. Чем могу помочь?",
}
WROTE_FIRST: Mapping[str, str] = {"he": "הלקוח כתב: „{line}”", "en": "The customer wrote: “{line}”"}
COUNTS: Mapping[str, str] = {
    "he": "הודעות מהלקוח: {asked}, תשובות: {answered}.",
    "en": "Messages from the customer: {asked}, answers: {answered}.",
}
WROTE_LAST: Mapping[str, str] = {"he": "ההודעה האחרונה: „{line}”", "en": "The last message: “{line}”"}
