"""The passwords that anybody would try first: of eight characters and more, in small letters.

A short list on purpose: whoever guesses online gets a few tries before he is slowed down, and these are the few.
"""

from __future__ import annotations

from typing import Final

__all__ = ["COMMON"]

COMMON: Final = frozenset(
    """
    00000000 01234567 0123456789 0987654321 10203040 11223344 1122334455 12121212 12341234 123123123 123321123
    12344321 12345678 123456789 1234567890 12345678910 123456789a 1234abcd 1234qwer 147258369 159357159 1a2b3c4d
    1q2w3e4r 1q2w3e4r5t 1q2w3e4r5t6y 1qaz2wsx 1qaz2wsx3edc 1qazxsw2 20202020 23456789 31415926 55555555 66666666
    7777777777 87654321 88888888 987654321 9876543210 99999999 a1234567 a12345678 a1b2c3d4 aa123456 aaaaaaaa abc12345
    abc123456 abcd1234 abcd12345 abcdefgh abcdefg1 access14 admin123 admin1234 admin123456 administrator adminadmin
    asd123456 asdasd123 asdf1234 asdfasdf asdfghjk asdfghjkl azertyuiop baseball baseball1 basketball bismillah
    blink182 butterfly changeme changeme1 changeme123 charlie1 chocolate computer computer1 corvette dragon123
    elephant facebook football football1 ghbdtnbr greenday guitar123 hello123 hello1234 helloworld hockey123 iloveyou
    iloveyou1 iloveyou2 internet jennifer jessica1 johncena jonathan jordan23 killer123 letmein1 letmein123 liverpool
    liverpool1 love1234 loveyou1 lovely123 manchester master123 maverick mercedes metallica michelle midnight
    monkey123 mustang1 myspace1 nicholas ninja123 p@ssw0rd p@ssword pa$$word pakistan pass1234 passport password
    password! password. password01 password1 password1! password12 password123 password123! password1234 passw0rd
    passw0rd! pokemon1 princess princess1 q1w2e3r4 q1w2e3r4t5 qazwsxedc qqqqqqqq qwe123456 qweasdzxc qwer1234 qwert123
    qwert1234 qwerty12 qwerty123 qwerty1234 qwerty12345 qwerty123456 qwertyui qwertyuiop rockstar samantha samsung1
    scorpion secret123 shadow123 skateboard slipknot snowball spiderman starwars starwars1 summer2024 summer2025
    summer2026 sunshine sunshine1 superman superman1 superstar sweetheart test1234 testtest tinkerbell trustno1
    undertaker unknown1 victoria welcome1 welcome123 whatever whatever1 william1 winter2024 winter2025 winter2026
    zaq12wsx zaq1zaq1 zxcvbnm1 zxcvbnm123 zxcvbnmm
    """.split()  # noqa: SIM905  # a list literal of these would be four pages
)
