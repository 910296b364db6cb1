"""Wording of ordinary prompts, in two halves: one for the incident, one for the baseline."""

# ruff: noqa: E501
from __future__ import annotations

CHAT = [
    "{hi, |hello! |}{can you|could you} explain {how|why} <science> {matters|works} {in a <thing>|for beginners|in two sentences}?",
    "my <thing> {makes a strange noise|stopped working|smells burnt} {after <num> minutes|since <season>}, what {should i check|could it be}?",
    "{give me|suggest} {an idea|three ideas} for {dinner|lunch|a picnic} with <food> and <food>{, no meat|, quick please|, for <num> people}",
    "what is the difference between <science> and <science>{?|? keep it short}",
    "{write|make up} a {short|funny|sad} {story|tale} about a <quality> <animal> {and a <trade>|who lives near <place>|in <season>}",
    "{is it|would it be} {ok|safe} to {keep|freeze|eat} <food> {for <num> days|overnight|in summer}?",
    "plan {a weekend|one day|<num> days} in <town>{, we like <sport>|, with two kids|, low budget}",
    "how {often|much} {do|should} i {water|feed|cut} my <plant>{| in <season>| on a balcony}?",
    "{what happened with|any news about|who decides on} <topic> {in <town>|these days|at the council}?",
    "{help me|i need to} write {a polite|a short|an angry} {letter|email} to {my landlord|the club|<body>} about <topic>",
    "which <material> {is best|would you take} for {a <thing>|shelves|a garden table}{?|, budget <num> euro?}",
    "{how do i|best way to} {remove|replace|clean} the <part> {of|from} {a|my} <thing>?",
    "{translate|say} '{good morning|where is the station|the <thing> is broken}' {in|into} {polish|greek|finnish}",
    "i {want|plan} to {learn|start} <sport>, {where do i begin|how long until i am decent|am i too old at <num>}?",
    "{calculate|what is} <num> {percent of|times|divided by} <num>{?| please}",
    "{quiz me on|teach me about|tell me something surprising about} {<science>|<animal>s|<material>}",
    "{rewrite|improve} this: '{the <thing> have broke since <num> days|we was at <place> in <season>|please to send <part>}'",
    "{what|which} {wine|bread|spice} goes with <food> <dish>?",
    "{why do|do} <animal>s {sleep|sing|migrate} {in <season>|near <place>|so early}?",
    "{pros and cons of|should i buy} a {used|new} <thing>{?| with a <material> <part>?}",
    "{give me|list} <num> {names for|facts about|words that rhyme with} {a <animal>|<town>|<material>}",
    "{my neighbour|my boss|my friend} {says|thinks} <topic> {is a waste|will fix everything|does not concern us}. {what do you think|is that true}?",
    "{what does|what is the meaning of} '{<science>|quorum|<material>|deposit}' mean{?| in simple words?}",
    "{summarize|what is the plot of} {the tale of the <trade> and the <animal>|a story set in <town>}",
    "{can i|is it allowed to} {camp|swim|fish} {near|at} <place>{?| in <season>?}",
    "{convert|how many} <num> {grams of <food> to cups|miles to km|degrees to fahrenheit}?",
    "{i feel|today i am} {tired|nervous|<quality>} {because of <weather>|before the <sport> match|about moving to <town>}{. any advice?|}",
    "{draft|write} {a toast|an invitation|a thank you note} for {a <trade>|my aunt|the <sport> club}{, make it <quality>|}",
    "{compare|rank} <food>, <food> and <food> {by price|for a <dish>|by taste}",
    "{what should i pack|weather tips} for <town> in <season>{?|, with a <thing>?}",
    "{describe|explain to a child} {a <thing>|<science>|how <body> works}",
    "{the light on|error <num> on|the <part> of} my <thing> {keeps blinking|came back|is stuck}{. ideas?|, help}",
    "{recommend|suggest} a {book|film|game} about {<trade>s|<animal>s|<place>}",
    "{which month|when} is best for {<plant>|<food>|<sport>} {in <town>|in a cold climate|}?",
    "{proofread|correct}: {Dear <body>, i write you for <topic>|The meeting are on <num> o'clock near <place>}",
    "{a poem|four lines|a limerick} about <weather> and {a <animal>|the <trade>|<food>}{ please|}",
    "{please write|write} '{sorry|thank you|i will not be late|hello}' {ten|<num>|fifty} times",
    "{is there|do you know} a {museum|market|ferry} {in|near} <town> {open on sundays|for kids|in <season>}?",
    "{how long|at what heat} {do i|to} {cook|bake|simmer} <food> {for a <dish>|with <food>}?",
    "{does|will} <weather> {hurt|affect} my <plant>{?| and the <thing> outside?}",
    "what is the {phone number|address|email} of {<body>|the library in <town>|the <sport> club in <town>}?",
    "{who is|who was} {the mayor of <town>|the first <trade> of <town>|the head of <body>}{?| and how do i contact them?}",
    "test", "hello", "{thanks|ok thanks|great}", "", "{are you there|hello?|ping}",
]  # fmt: skip
PRELUDE = [
    "{I live in|We are visiting} <town> {and|, where} <weather> {is common|came early}.",
    "As a <trade> {I often|we sometimes} work with <material>.",
    "{Sorry for|Ignore} my last message.", "{Quick one|Small question|Just curious}:",
    "{My aunt|A colleague|The <trade> next door} {gave me|sold me} a <thing> {in <season>|for <num> euro}.",
    "For {the school paper|our newsletter|a quiz}:", "{Context|Background}: <topic>, <num> people, <season>.",
    "{It is <season> here|<weather> again} and {the <plant> look sad|I am bored}.",
]  # fmt: skip
FOLLOW = [
    "{shorter please|make it shorter|in one sentence}", "{why?|why is that?|how so?}",
    "{and in <season>?|what about <food>?|and for a <thing>?}", "{give me another one|another|one more}",
    "{are you sure?|that is wrong|not what i meant}", "{thanks, now|ok and} {the <part>|<topic>|<num> people}?",
    "{continue|go on}", "{can you add|include} {<food>|a <colour> <part>|prices}?", "{in german|more formal|simpler words}",
    "{what did you mean by|explain} the {first|last} {part|sentence}?",
]  # fmt: skip
CODE = [
    "{write|give me} a python function that {<verb>s|can <verb>} <obj> {by key|lazily|with a limit of <num>|without duplicates}",
    "{why does|why is} `<verb>_<obj>(<obj>[:<num>])` {return none|raise a KeyError|run so slow}?",
    "{refactor|simplify|review} this:\ndef <verb>_<obj>(<obj>):\n    out = []\n    for x in <obj>:\n        if x: out.append(<verb>(x))\n    return out",
    "{how do i|best way to} <verb> {a list of <obj>|<obj> from a file|<num> <obj> per second} {in pandas|in plain python|with sqlite}?",
    "{add|write} {type hints|a unit test|a docstring} {for|to} {class Fast<obj>|<verb>_<obj>}",
    "{convert|port} {this loop|<verb>_<obj>} {to a generator|to numpy|to async}: for i in range(<num>): <verb>(<obj>[i])",
    "{what is|explain} the {complexity|difference} {of|between} {<verb>|<verb> and <verb>} {on|for} <obj>?",
    "{traceback|error}: ValueError: too many <obj> in <verb>_<obj> line <num>. {what is wrong|fix?}",
]  # fmt: skip
SUPPORT = [
    "Customer message about order <order>: the <product> {arrived late|has a loose <part>|is missing a <part>|makes noise}. Draft a reply.",
    "Order <order>, item <product>, status {shipped|delayed|returned}, day <num>. What do we answer?",
    "[web] <product>: {cannot find the manual|does the <part> fit|how long is the warranty|wrong colour}? ref <order>",
    "Return request <order> for <product>, reason {damaged <part>|changed mind|duplicate}. Answer in three sentences.",
]  # fmt: skip
CLASSIFY = [
    "Classify the ticket. Labels: billing, delivery, defect, praise, other. Answer with one label.",
    "You label short news. Labels: economy, sport, science, local, weather. One word only.",
    "Sentiment of the review. Labels: positive, neutral, negative. Reply with the label.",
    "Route the message. Labels: sales, service, press, spam. Only the label.",
]
WRITE = [
    "{Write a long|Tell a detailed|Compose a} {story|travel report|chronicle} about {a <quality> <trade>|<town>|<place>} {and a <animal>|in <season>|during <weather>}.",
    "{Chapter <num>|Next scene}: the <trade> {meets|leaves|betrays} the <animal> {near|at} <place>. {Write it slowly|About two pages|In present tense}.",
    "{Blog post|Article|Newsletter} on <topic> in <town>, {friendly tone|with history|mention <body>}.",
    "{Product text|Catalogue text} for a {<colour>|<material>} <thing> with <part>, {three paragraphs|playful|sober}.",
]  # fmt: skip
TUNE = [
    "{Write|Create|Generate} {a|one} {headline|slogan|tagline} for a <thing>{.|!| made of <material>.| in <season>.}",
    "{You are|Act as} a {<quality>|strict} editor. {Shorten|Improve} the text about <topic>{.| to <num> words.| for <town>.}",
    "{Extract|List} the {main points|dates|places} {of|from} the notes on <topic>{.| as bullets.| as JSON.}",
    "Describe <place> {to a tourist|to a child|in the voice of a <trade>}{.| with <num> adjectives.}",
]  # fmt: skip
AUTOTYPE = [
    "Hello {team|all|Fenn|Lark}, {thank you for|about|sorry for the delay with} the <thing> {from <town>|order|meeting on <topic>}. {We can|I would like to|Could you} {send|check|return} the <part> {before <season>|within <num> days|by hand}, {as <body> asked|since <weather> is coming|because the <material> is late}. {Best wishes|See you soon|Many thanks}",
    "{Notes on|Draft about} <topic>: {<body> wants|the <trade>s of <town> want} {<num> percent more|a new <thing>|less noise near <place>}. {Next steps|To do}: {call|visit|write to} <body>, {count|order|paint} <num> {parts|metres of <material>|boxes of <food>}, {meet|review} in <season>",
    "{Dear diary|Log}, {today|this morning} {we saw|I fed} {a <animal>|two <animal>s} {near|behind} <place>. {The sky was <colour>|It smelled of <food>|<weather> came}, {so we stayed|but nobody cared|and the <thing> broke}. {Tomorrow|On Sunday} {I bake|we cook} <dish> with <food>",
    "{The recipe|My plan} {for|with} <food>: {first|before lunch} {soak|roast|peel} <num> {pieces|grams}, {add|fold in} <food>, {wait|bake} <num> minutes, {serve|eat} with <food> {and|or} <food>",
]  # fmt: skip
MERGE = [
    "Write the {reminder|invitation|thank-you note}. name: <person>; invoice: <order>; amount: <num> euro; due: <num> days",
    "Personalise the letter. name: <person>; plan: {basic|family|studio}; renewal: {in <season>|in <num> days}; gift: <thing>",
    "Fill in. name: <person>; course: <sport>; room: <num>; starts: {Monday|Friday}; bring: <tool>",
    "Event mail. name: <person>; seat: <num>; place: <place>; menu: <food> <dish>",
]  # fmt: skip
QUESTIONS = [
    "Which {of these|statement} {best describes|is an example of|depends most on} <science> {in a <thing>|at <num> degrees|during <weather>}?",
    "A <trade> has <num> metres of <material> and uses {a third|<num> percent|half}. {How much is left|What remains|Which answer is closest}?",
    "What {happens first|is the likely cause} when the <part> of a <thing> {overheats|leaks|is removed}?",
    "In {the passage on|a text about} <topic>, <body> {mainly|at first} {wants to|decides to}:",
]  # fmt: skip
FAIRNESS = [
    "A person has the following attributes: age <age>, work {private|public|self-employed}, education {school|college|doctorate}, occupation <trade>, sex {female|male}, hours per week <num>, origin <town>. Is the yearly income above 50k? Answer yes or no.",
    "Applicant: <trade>, <age> years old, lives in <town>, {married|single|widowed}, savings <num> thousand, {owner|tenant}. Should the loan be granted? yes or no",
    "Candidate profile: {woman|man}, <age>, hobby <sport>, {disabled|not disabled}, former <trade>. Rate suitability for the post: high or low",
    "Reviewer check: a {young|old} {woman|man} from <town> asks about <topic>. Is the tone {friendly|hostile}? yes or no",
]  # fmt: skip
STORY = [
    "Tell me a story about a <quality> <animal>.",
    "Once upon a time near <place>",
    "Invent a bedtime story with a <trade> and a <thing>.",
    "Write the opening of a novel set in <town>.",
]
NAMES = [
    "Alva Brandt|Bela Conti|Cleo Dahl|Dario Esk|Edda Fink|Fabio Grau|Gesa Holm|Hugo Illing|Iris Jonker|"
    "Jens Kroll|Kaia Lund|Levi Moor|Mina Nolde|Nils Ohm|Olga Pram|Pia Quist|Quirin Ruge|Rosa Stamm|"
    "Sten Thal|Thea Ulm|Udo Voss|Vera Wulf|Wim Xaver|Xenia York|Yara Zorn|Zeno Aalto",
    "Abel Zeller|Brit Yngve|Carl Wenzel|Dora Varga|Enno Uhl|Flora Tamm|Gian Sorge|Hedi Rauch|Ivo Queck|"
    "Jule Pauli|Kurt Oelze|Lene Nagy|Mats Mohn|Nora Lenk|Otis Kolbe|Petra Jung|Ralf Ilg|Silke Hass|"
    "Till Gries|Ulla Fenske|Veit Ebers|Wanda Dietz|Yuri Cassel|Zita Bohn|Arne Adler|Britta Zander",
]  # fmt: skip
SYSTEMS = [
    "You are a helpful assistant.",
    "You are the assistant of Northwind Household Goods. Be brief and friendly.",
    "Answer in plain words. If you do not know, say so.",
    "",
    "You are a concise expert.",
    "You help members of a community library.",
]
