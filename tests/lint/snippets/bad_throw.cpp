// An await inside throw.
awaitable<void> fail() {
    throw Error((co_await reason()).text);  // bad
    throw Error(co_await reason());  // bad
    throw co_await reason();  // bad
}
