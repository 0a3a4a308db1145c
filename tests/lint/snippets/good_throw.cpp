awaitable<void> fail() {
    const auto why = co_await reason();
    throw Error(why.text);
}
