// The inbox: what is open stays open, and follows the stream.

import { openComposer, showDesk, showSent } from "./composer.js";
import { scrollToEnd, showConversation, showListed, showMessages, showOpened } from "./conversations.js";
import { Live } from "./live.js";

scrollToEnd();
openComposer();
new Live(document.getElementById("live").dataset.url, {
  conversation: showConversation,
  listed: showListed,
  opened: showOpened,
  desk: showDesk,
  messages: (told) => { showMessages(told); showSent(told); },
});
