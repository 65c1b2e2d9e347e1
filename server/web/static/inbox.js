// The inbox: what is open stays open, and follows the stream.

import { scrollToEnd, showConversation, showMessages, showOpened } from "./conversations.js";
import { Live } from "./live.js";

scrollToEnd();
new Live(document.getElementById("live").dataset.url, {
  conversation: showConversation,
  opened: showOpened,
  messages: showMessages,
});
