"""Sentence grammars and word lists of the ordinary documents, which concern no person."""

# ruff: noqa: E501
from __future__ import annotations


def words(text: str) -> list[str]:
    """Split a ``|`` separated list."""
    return text.split("|")


SLOTS: dict[str, list[str]] = {
    "thing": words(
        "kettle|drill|heat pump|bicycle|sewing machine|router|dishwasher|solar panel|camera|printer|"
        "thermostat|lawn mower|coffee grinder|projector|ladder|freezer|scooter|microscope|boiler|"
        "telescope|loom|tent|water filter|piano|kayak|radio|oven|pressure cooker|smoke alarm|scale"
    ),
    "part": words(
        "valve|filter|battery|lid|gasket|drive belt|fuse|sensor|hinge|handle|fan|cable|spring|knob|"
        "tray|nozzle|bearing|display|pump|lens|screw|antenna|blade|seal"
    ),
    "tool": words(
        "a soft cloth|a small screwdriver|a hex key|warm water|a stiff brush|tweezers|a torch|"
        "a clean sponge|a spirit level|pliers|a drop of oil|compressed air"
    ),
    "place": words(
        "the harbour|the old mill|the river bank|the north pier|the market hall|the lighthouse|"
        "the valley|the town library|the botanical garden|the railway museum|the upper meadow|"
        "the salt marsh|the observatory|the quarry lake|the chapel hill|the fish market"
    ),
    "town": words(
        "Ostermoor|Valdisotto|Kirrewick|Brennhaven|Salmara|Tolmin Bridge|Aldersea|Varnholt|Quessac|"
        "Mirny Hill|Lindesborg|Castelforno|Pohjaranta|Glenmarrow|Zelenograd Bay|Puerto Alba"
    ),
    "food": words(
        "leeks|red lentils|chestnuts|rye flour|smoked paprika|quinces|barley|goat cheese|beetroot|"
        "fennel|white beans|mushrooms|walnuts|pears|spinach|pumpkin|sorrel|apricots|parsnips|dill|"
        "buckwheat|capers|tomatoes|rhubarb|cod|saffron|almonds|honey"
    ),
    "dish": words(
        "stew|soup|flatbread|dumplings|gratin|salad|pie|pancakes|risotto|chutney|casserole|tart|"
        "porridge|noodles|pickles|cake"
    ),
    "animal": words(
        "heron|otter|badger|tortoise|crane|fox|hedgehog|lynx|raven|beaver|salmon|owl|goat|hare|"
        "bumblebee|seal|donkey|dragon"
    ),
    "trade": words(
        "miller|beekeeper|ferryman|clockmaker|weaver|cartographer|baker|lamplighter|gardener|tinsmith|"
        "glassblower|librarian|shepherd|carpenter|astronomer|potter"
    ),
    "quality": words(
        "quiet|stubborn|patient|careful|restless|cheerful|curious|brave|weary|clever|gentle|proud|"
        "absent-minded|generous"
    ),
    "weather": words(
        "fog|a late frost|steady rain|a dry east wind|hail|a mild spring|heavy snow|a long drought|"
        "thunder|the first autumn storm"
    ),
    "season": words("spring|early summer|late summer|autumn|winter|the rainy weeks|harvest time"),
    "num": [
        str(n)
        for n in (
            2,
            3,
            4,
            5,
            6,
            7,
            8,
            9,
            10,
            12,
            14,
            15,
            18,
            20,
            24,
            25,
            30,
            36,
            40,
            45,
            48,
            50,
            60,
            72,
            75,
            80,
            90,
            120,
            150,
            180,
            200,
            240,
            300,
            350,
            500,
        )
    ],
    "unit": words("minutes|hours|grams|litres|degrees|metres|days|percent|kilos|watts"),
    "topic": words(
        "tidal power|bridge repair|school meals|night trains|bird counts|flood barriers|town lighting|"
        "wool prices|the ferry timetable|road salt|public libraries|cycle lanes|the fishing quota|"
        "heat networks|museum opening hours|waste sorting|the water tariff|tree planting|broadband"
    ),
    "body": words(
        "the town council|the port authority|the regional assembly|the farmers' cooperative|"
        "the energy agency|the school board|the weather service|the rail operator|the heritage trust|"
        "the statistics office|the fire brigade|the university"
    ),
    "science": words(
        "photosynthesis|plate tectonics|surface tension|magnetism|fermentation|erosion|refraction|"
        "osmosis|resonance|the water cycle|friction|crystal growth|buoyancy|evaporation|inertia|"
        "heat conduction|static electricity|bird migration"
    ),
    "verb": words(
        "parse|merge|sort|filter|encode|compress|validate|group|count|split|normalise|cache|index|"
        "flatten|rotate|sample"
    ),
    "obj": words(
        "rows|tokens|orders|paths|events|batches|prices|lines|records|matrix|intervals|headers|nodes|"
        "queue|samples|timestamps|buckets|settings"
    ),
    "type": words("int|float|str|bool|bytes|list|dict|tuple"),
    "adv": words(
        "slowly|in one go|before noon|without haste|once more|with care|every evening|in silence|"
        "at dawn|on Sundays|after lunch|as usual|by hand|in pairs"
    ),
    "material": words(
        "oak|copper|linen|slate|clay|wool|brass|birch|steel|cork|marble|felt|glass|bamboo|leather"
    ),
    "colour": words("blue|ochre|dark green|white|crimson|grey|copper|yellow|violet|black"),
    "sport": words("rowing|climbing|chess|archery|orienteering|swimming|curling|fencing|handball"),
    "plant": words(
        "tomatoes|lavender|ferns|roses|basil|apple trees|ivy|clover|orchids|sunflowers|moss|mint|peonies"
    ),
}

GRAMMARS: dict[str, list[list[str]]] = {
    "manual": [
        [
            "{Before|Prior to} first use of the <thing>, {remove the transport lock|rinse the <part>|let it stand for <num> minutes|read the safety notes}.",
            "This chapter {describes|explains|shows} how to {clean|replace|adjust|store} the <part> of your <thing>.",
            "The <thing> {is delivered with|ships with|needs} a spare <part> and <tool>.",
        ],
        [
            "{Switch off the mains|Unplug the <thing>|Wait until the <part> is cold} and {loosen|open|lift} the <part> with <tool>.",
            "Hold the <part> {upright|with two fingers|away from the <part>} and {turn it <num> degrees|press until it clicks|pull it out <adv>}.",
            "Set the {dial|slider|lever} to <num> and {wait <num> minutes|listen for the signal|check the <part>}.",
        ],
        [
            "{If the <part> is worn|When the light blinks <num> times|Should the <part> stick}, {order a new one|repeat the previous step|clean it with <tool>}.",
            "Never {immerse the <part> in water|use solvents|cover the <part>|run the <thing> empty}; {the coating would suffer|the warranty does not cover it|the fuse may blow}.",
            "The {colour|pressure|noise} of the <part> {changes|rises} {during|after} the first <num> hours, which is {normal|harmless|expected}.",
        ],
        [
            "Refit the <part>, {tighten|align|close} it <adv> and {run a test|restart|wait <num> minutes}.",
            "Dispose of the old <part> {at a collection point|with metal waste|as the local rules say}.",
            "Repeat this every <num> {weeks|months|hours of use}, or {sooner|more often} in <season>.",
        ],
    ],
    "faq": [
        [
            "Q: {How do I|How can I|What is the best way to} {return|repair|register|clean|store|insure} {my|a|the} <thing>?\nA:",
            "Q: {Why does|When does|Does} the <part> of the <thing> {get warm|need service|make noise|change colour}?\nA:",
            "Q: {Can I|May I|Is it possible to} {use the <thing> in <season>|change the delivery day|combine two vouchers|collect the <thing> myself}?\nA:",
        ],
        [
            "Open the {account|orders|service} page, choose the <thing> and {follow the steps|print the label|pick a reason|upload a photo}.",
            "Yes, {within <num> days|as long as the <part> is intact|if the seal is unbroken|after <num> hours of rest}.",
            "The <part> {adapts|expands|settles} {during the first <num> hours|in <season>|after transport}, so {nothing is wrong|no action is needed}.",
        ],
        [
            "You {will receive|get} a {confirmation|voucher|reminder} {within <num> hours|the same day|by post}, {and the refund follows|then the case is closed|no signature needed}.",
            "{Shops in <town>|Our partners near <place>|The depot in <town>} {accept returns|lend a replacement|help for free} {until <num> o'clock|on weekdays|all year}.",
            "{Please do not|Do not} send the <part> {alone|in an envelope|unpacked}; {it is fragile|the scanner rejects it|it delays the check by <num> days}.",
        ],
        [
            "If that does not help, {our chat|the workshop in <town>|the hotline} is {open|staffed} <adv>.",
            "More {details|pictures|examples} are in the {manual|guide|chapter on the <part>}.",
            "{Keep|Save} the {receipt|box|serial number} {for <num> months|until the test is done}.",
        ],
    ],
    "news": [
        [
            "<town>. {After|Following} {months|weeks|years} of debate, <body> {approved|rejected|postponed} {a plan|new rules|a budget} for <topic>.",
            "{Residents of|Visitors to|Traders in} <town> {gathered near|marched to|filled} <place> {on Tuesday|at the weekend|last night} to {discuss|celebrate|protest against changes to} <topic>.",
            "{A report by|Figures from|A survey of} <body> {shows|suggests|warns} that <topic> {costs <num> percent more|has improved|divides the region} since {last year|<season>}.",
        ],
        [
            "{A spokesperson|The chair|An engineer} {said|explained|admitted} that <weather> {had delayed the work|made things worse|was not the reason} and that {costs rose|staff were missing|the contract ends soon}.",
            "{Critics|Neighbours|Shop owners} {point to|complain about|welcome} {the noise near|the closure of|the new path to} <place>, {which dates from another age|used by hundreds|long overdue}.",
            "{Some <num> people|Nearly <num> families|About <num> volunteers} {signed a letter|took part|were affected}, {more than expected|fewer than in <season>|according to <body>}.",
        ],
        [
            "{In <season>|Next month|Within <num> days} {work starts|a vote is due|a trial begins} {at|near|around} <place>.",
            "The {money|material|advice} comes from <body>, {while|although} {<town> pays the rest|private donors helped|nobody knows for how long}.",
            "{Experts|Historians|Planners} {recall|note} that <topic> {was an issue|failed|worked well} {a generation ago|in <town>|when <weather> hit the coast}.",
        ],
        [
            "{Buses|Trams|Ferries} {run as usual|are diverted|stop at <place>} {until further notice|for <num> days|in <season>}.",
            "The {next meeting|exhibition|hearing} is {open to all|on Thursday|held in <town>}.",
        ],
    ],
    "recipe": [
        [
            "<food> <dish> with <food>. {Serves|Enough for} <num>. {Rinse|Chop|Peel|Roast} <num> grams of <food> and {set aside|cut into cubes|dry well}.",
            "For this <dish>, {soak|grate|slice} the <food> {overnight|for <num> minutes|thinly} and {keep the water|add salt|cover it}.",
            "{A simple|A winter|An old village} <dish>: {warm|melt} {butter|oil} in a {wide|heavy} pan and {sweat|brown} the <food> <adv>.",
        ],
        [
            "{Stir in|Add|Fold in} the <food>, {a pinch of|two spoons of} <food> and {simmer|cook|bake} for <num> minutes.",
            "{Meanwhile|While it rests}, {whisk|mash|toast} the <food> with {lemon|vinegar|cream|mustard} until {smooth|golden|thick}.",
            "{Pour over|Deglaze with} {stock|cider|milk}, {cover|lower the heat} and {wait|stir} until the <food> is {soft|tender|glossy}.",
        ],
        [
            "{Season|Taste} and {add more <food>|sharpen with vinegar|sweeten with honey} {if needed|to balance}.",
            "{Line|Butter} a {tin|dish} and {layer|spread} the <food> and <food> {evenly|in turns}; bake at <num> degrees.",
            "{Leftovers|The rest} {keep for <num> days|freeze well|make a good filling} {in a jar|under oil|for <dish>}.",
        ],
        [
            "Serve {warm|cold|at once} with <food>{, rye bread|, a spoon of yoghurt|, chopped dill|}.",
            "In <season> {use|take} <food> instead of <food>.",
        ],
    ],
    "story": [
        [
            "{Once|Long ago|In a year of <weather>}, a <quality> <trade> lived {near|beyond|above} <place> {with|and fed} a <quality> <animal>.",
            "The <trade> of <town> {owned|had built|had lost} a <thing> of <material>, {which nobody could repair|and was <quality> about it|and spoke of little else}.",
            "{There was|They still tell of} a <animal> who {wanted|learned} to {bake bread|read maps|ring the bell|count the stars} {at|near} <place>.",
        ],
        [
            "{One morning|That <season>|On the third day} <weather> {came over|covered} <place>, and the <animal> {did not return|brought a <colour> feather|knocked at the door}.",
            "The <trade> {asked|begged|paid} the <animal> to {carry a letter|find the <thing>|guard the <material> door}, {and it agreed|but it laughed|though it was <quality>}.",
            "{Everyone|Nobody} in <town> {believed|noticed} that the {bell|boat|clock} was {made of <material>|<num> years old|singing <adv>}.",
        ],
        [
            "They {walked|sailed|waited} for <num> days, {sharing <food>|sleeping under <material>|telling riddles}, until they {reached|saw} <place>.",
            "There {stood|sat} a <quality> <trade> who {offered <food>|held a <colour> lantern|knew the answer}, {and asked for nothing|but wanted a song|and slept}.",
        ],
        [
            "{In the end|At last} the <animal> {kept|gave away} the <thing>, and {the <trade> smiled|<weather> passed|the bell rang <adv>}.",
            "{Since then|To this day} people of <town> {leave <food>|hang <colour> ribbons|whistle} {at|near} <place> in <season>.",
        ],
    ],
    "science": [
        [
            "{The idea of|In simple words,} <science> {means|describes|explains} how {energy|water|matter|light} {moves|changes|is stored} {between|in} {layers|cells|bodies}.",
            "{Students|Beginners} often {confuse|mix up} <science> {with|and} <science>, {yet|although} the {cause|scale|result} is {different|easy to see|opposite}.",
        ],
        [
            "{An experiment|A test} with <food> and <tool> {shows|makes visible} the effect {within <num> minutes|at <num> degrees|in a dark room}.",
            "{Near <place>|In <season>} one can {observe|measure} it when <weather> {meets the warm ground|ends|lasts for <num> hours}.",
            "{Researchers at <body>|A team in <town>} {measured|modelled} a change of <num> percent {over <num> years|after <weather>|in <material>}.",
        ],
        [
            "{The same|A similar} principle {drives|limits} the <part> of a <thing>, {where <material> is used|which is why it hums|so it needs rest}.",
            "{Too much|Too little} {heat|pressure|moisture} {stops|reverses|hides} <science>, {as every <trade> knows|a common error|hence the <colour> lining}.",
        ],
        [
            "{Remember|Note}: {it is a rate, not an amount|the sign depends on direction|units matter}.",
            "{Questions|Exercises}: {estimate|sketch|compare} the {flow|curve|balance} for <num> <unit>.",
        ],
    ],
    "code": [
        [
            'def <verb>_<obj>(<obj>: <type>, limit: int = <num>) -> <type>:\n    """{Return|Yield} the <obj> {in order|without duplicates|up to the limit}."""\n',
            "class {Fast|Lazy|Simple}<Verb>er:\n    def __init__(self, <obj>: <type>) -> None:\n        self.<obj> = <obj>\n",
            "# {How to|Snippet:} <verb> <obj> {by key|in batches of <num>|with a timeout}\n",
        ],
        [
            "    result = []\n    for item in <obj>:\n        if {item is None|len(item) > <num>|not item}:\n            {continue|break}\n        result.append({item|<verb>(item)|item.strip()})\n",
            "    while <obj>:\n        head = <obj>.pop({0|-1})\n        if head {not in seen|in cache|> <num>}:\n            seen.add(head)\n            <verb>(head)\n",
            "    with open(path) as handle:\n        <obj> = [<verb>(line) for line in handle if {line.strip()|not line.startswith('#')}]\n",
        ],
        [
            "    if len(<obj>) > <num>:\n        raise ValueError('too many <obj>')\n",
            "    total = sum({len(x)|x|x.size} for x in <obj>)\n    log.info('<verb> %d <obj>', total)\n",
            "    try:\n        <verb>(<obj>)\n    except KeyError:\n        return {None|default|<num>}\n",
        ],
        [
            "    return {result|<obj>[:limit]|sorted(result)|dict(zip(<obj>, result))}\n",
            "    return {total / max(1, len(<obj>))|{}|tuple(<obj>)}\n",
        ],
    ],
    "travel": [
        [
            "{The road|A footpath|The slow train} from <town> {climbs|winds|leads} to <place> in <num> minutes, {past <material> walls|through fields of <food>|along the water}.",
            "{Start|Begin} early at <place>, {where|when} <trade>s {open their shutters|sell <food>|repair boats}.",
        ],
        [
            "{Stay|Sleep} {in|near} <town>, {the inn by|a cabin above|the hostel at} <place> has <num> beds and {a <colour> door|good <dish>|a view of the bay}.",
            "{Do not miss|Leave time for} the {collection of <material>|hall of clocks|garden of <plant>}, {free on Mondays|closed in <season>|tickets at the gate}.",
            "{Locals|Walkers} {say|swear} that <weather> {never lasts|brings out the <animal>s|improves the <dish>}.",
        ],
        [
            "{Take|Pack} {boots|a coat|binoculars} in <season>: {paths are wet|the <animal>s are shy|wind is strong}.",
            "{Return|Go back} by {ferry|bus|bicycle}, {the last one leaves at <num> past nine|reserve in <season>|bikes cost <num>}.",
        ],
    ],
    "garden": [
        [
            "<plant> {like|need|prefer} {sun|half shade|a sandy bed}, and {watering|feeding} every <num> days in <season>.",
            "{Sow|Plant|Divide} <plant> in <season>, <num> centimetres apart, {once|as soon as} <weather> is over.",
        ],
        [
            "{Cut|Tie|Mulch} them <adv> with <tool>, {never|not} {after <weather>|when leaves are wet|below the graft}.",
            "{Snails|Aphids|Mildew} {spread|appear} after <weather>; {ashes|soap water|nettle tea} {helps|keeps them away} for <num> days.",
        ],
        [
            "{Companions|Good neighbours} are <plant> and <plant>, {while|but} <plant> {take all the water|should stay away}.",
            "{Harvest|Collect seeds} {in dry weather|before <season> ends|when pods turn <colour>}, {store in <material> boxes|keep cool}.",
        ],
        [
            "{In pots|On balconies}, {use|choose} {gravel|clay|fresh soil} and {turn|move} them every <num> days."
        ],
    ],
    "minutes": [
        [
            "{Minutes|Protocol} of {the club|the committee|the working group} for <topic>, {<num> present|quorum reached}, {chair opens <adv>|agenda accepted}.",
            "{Item|Point} <num>: <topic>. {The group|The committee} {hears|discusses} {a report by <body>|two offers|the letter from <town>}.",
        ],
        [
            "{Decision|Agreed}: {repair the <thing>|buy <num> metres of <material>|invite <body>|move the fair to <place>}, {<num> votes in favour|unanimous|two abstain}.",
            "{Costs|Expenses} of <num> {for|towards} {<food> and drinks|the <part>|printing} {are approved|need a second quote|come from <season> funds}.",
            "{The treasurer|The secretary} {will write to|calls|meets} <body> {before <season>|within <num> days}.",
        ],
        [
            "{Any other business|Finally}: {keys to <place>|the <sport> day|lost umbrella}; {nobody objects|to be continued}.",
            "{Next meeting|Reconvene} in <num> days {at|near} <place>, {bring <food>|minutes to follow}.",
        ],
    ],
    "sport": [
        [
            "{The <sport> club of|Young teams from} <town> {won|lost|drew} {in|after} {extra time|the final round|a match of <num> minutes} {at|near} <place>.",
            "{Training for|A first lesson in} <sport> {starts|begins} with {breathing|balance|<num> minutes of stretching} {and|then} {short drills|a slow game}.",
        ],
        [
            "{Coaches|Referees} {praised|blamed} {the <quality> start|<weather>|a loose <part>}, {the crowd of <num> agreed|not the players}.",
            "{Keep|Hold} the {elbow|hip|gaze} {low|still|forward} and {repeat <num> times|rest <num> seconds|switch sides}.",
        ],
        [
            "{Next|In <season>} they {meet|travel to} <town>, {a <quality> rival|tickets are gone|where <weather> is usual}.",
            "{Beginners|Children} {should|may} {use <material> gear|train in pairs|skip this step} {for <num> weeks|at first}.",
        ],
    ],
    "letter": [
        [
            "{Dear customers|Dear members|To all tenants},\n{on|from} the <num>th {we close|we rebuild|we move} {the shop near <place>|the <thing> hall|the <town> office}.",
            "{Dear team|Hello everyone},\n{thank you for|here is the news on} <topic>, {it was a <quality> month|more in <season>}.",
        ],
        [
            "{Please|Kindly} {use|ask at} {the side door|the desk in <town>|the form}, {allow <num> minutes more|bring the <part>|noise is possible}.",
            "{Prices|Hours|Rules} for <topic> {stay the same|change by <num> percent|are on the board}, {as <body> decided|see the annex}.",
        ],
        [
            "{We apologise|Thank you} for {the trouble|your patience} and {wish a good <season>|offer <dish> on the last day}.\n{Yours|Best wishes}"
        ],
    ],
}
#: A licence-like text that many documents repeat: common text, never a leak of a person.
BOILERPLATE = (
    "This document may be copied and passed on without charge as long as this notice is kept. It is "
    "provided as is, without warranty of any kind, and the publisher is not liable for any damage "
    "that follows from its use. Names of products belong to their owners. Parts of the text were "
    "translated; where versions differ, the oldest printed version prevails. Comments are welcome "
    "at the address given on the cover, and corrections appear in the next edition."
)
