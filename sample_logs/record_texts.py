"""Sentence grammars of the personal records; ``{a|b}`` is a choice, ``<field>`` a value.

Every entry is a list of positions, every position a list of alternative sentences.  The wording
varies a lot on purpose: a language model that keeps nine tokens of context can then stay on one
record, as a large model does, instead of sliding between records on shared boilerplate.
"""

# ruff: noqa: E501
from __future__ import annotations

Grammar = list[list[str]]

SUPPORT: Grammar = [
    [
        "Ticket <ticket>: <name> from <city> {wrote to us|called the hotline|filled in the web form} on <date>.",
        "Case <ticket>, account holder <name>, <city>, {logged|opened|received} on <date>.",
        "<name> of <city> {contacted|reached} {second level|the night shift|our team} on <date> about order <order>.",
        "Customer <custno>, <name>, {raised|filed} ticket <ticket> {at noon|in the evening|early} on <date>.",
    ],
    [
        "{Please answer|Reply} to <email><orphone>{.|, not to the shop account.}",
        "The {best|preferred} contact is <email><orphone>, {mornings only|after six|any time before lunch}.",
        "{Mail|Answers} should go to <email><orphone>.",
    ],
    [
        "The {<product>|<product> bought in <month>} {stopped charging|arrived with a cracked lid|shows error <code>|leaks when tilted|makes a grinding noise} {after two days|since the last update|whenever the lamp is on}.",
        "{The caller|The customer} says the <product> {was never delivered|came without its cable|was billed twice|does not pair with the hub} {although the courier shows a signature|and wants it exchanged|for the second time this year}.",
        "Order <order> contained {a wrong|a used|an empty box instead of the} <product>{, photos attached|, as the depot confirmed|, which the driver denied}.",
    ],
    [
        "Refund of <amount> euro {goes|was promised} to {account|IBAN} <iban>.",
        "We agreed {a credit of|to pay back} <amount> euro {to|on} <iban> {within nine days|before the month ends|once the parcel is scanned}.",
        "{Delivery|Pickup} address is <street> <house>, <city>, {second bell|ring twice|leave it with the neighbour}.",
    ],
    [
        "Born <birth>, identity {checked by|confirmed through} {callback|security question|passport copy} {without problems|on the second attempt}.",
        "{Note for the courier|Remark}: {the caller is hard of hearing|uses a wheelchair and needs the ramp entrance|works nights, deliver after three}.",
        "Date of birth <birth> {matches|was compared with} the {contract|file} of {branch|shop} <house>.",
    ],
    [
        "{Agent|Handled by} <agent>, {priority two|no escalation|escalated to the lead}, {next step due|follow-up planned} on <date2>.",
        "<agent> {closes|keeps} this {once|until} the {replacement|invoice} <order2> is {out|settled}.",
        "Status {waiting for parts|waiting for the bank|done}, {owner|desk} <agent>, review <date2>.",
    ],
]
CLINIC: Grammar = [
    [
        "Patient <name>, born <birth>, <city>. Diagnosis: <diagnosis>.",
    ],
    [
        "Seen on <date> {by Dr <agent>|in the afternoon clinic|after referral from ward <house>} {because of|for} {tiredness over several weeks|a routine check|dizziness on standing|a new rash on both arms|pain under the left ribs|poor sleep}.",
        "{Walk-in|Scheduled} visit <date>, {complains of|reports} {night sweats|headaches since spring|numb fingers|shortness of breath on stairs|low mood}{, no fever|, worse in the mornings|, better with rest}.",
    ],
    [
        "Blood pressure <bp1> over <bp2>, pulse <pulse>, {weight <weight> kilos|lungs clear|abdomen soft}.",
        "{Laboratory|Results of the panel} {shows|gave} {ferritin|glucose|TSH} <amount>, {otherwise normal|to be repeated|slightly raised}.",
        "On examination {alert and oriented|pale|in good spirits}, pulse <pulse>, pressure <bp1> over <bp2>.",
    ],
    [
        "{Started|Continues|Changed to} <drug> <dose> milligrams {once daily|at night|twice a day with food}, {tolerated well|mild nausea at first|no allergies known}.",
        "Plan: <drug> <dose> milligrams, {diet sheet handed out|physiotherapy twice weekly|psychologist informed|control in a month}.",
    ],
    [
        "Contact for results <email><orphone>, insurance number FICT-<custno>.",
        "{Letters|Findings} go to <email><orphone>; {emergency contact is|next of kin:} {her sister|the spouse|a neighbour} in <city2>.",
    ],
    [
        "{Lives alone|Two children at home|Works as a <job>}, {smokes ten a day|no alcohol|stopped smoking in <year>}{.|, declined the vaccination.|, asked for a certificate.}",
        "Next visit <date2>, {bring the diary|fasting blood sample|interpreter booked}, signed <agent>.",
    ],
]
CHILD: Grammar = [
    [
        "{School|Nursery} file: <child>, {aged <age>|<age> years old}, {child of|in the care of} <name>, <city>.",
        "Pupil <child>, {class <age>b|group Sunflower|group Hedgehog}, {guardian|parent} <name>, {enrolled|registered} <date>.",
    ],
    [
        "{Parent|Guardian} {reachable at|writes from} <email><orphone>{, after four o'clock only|, never during lessons|}.",
    ],
    [
        "<child> {has|lives with} {a peanut allergy|asthma|epilepsy|coeliac disease} and {keeps the pen in the blue bag|needs the inhaler before sports|eats from the green tray|must rest after a seizure}.",
        "{Psychologist|Speech therapist} <agent> {sees|meets} <child> {on Tuesdays|every second Friday} because of {a stammer|trouble with reading|anxiety after the move|bedwetting since autumn}.",
    ],
    [
        "{Only|Apart from the parents} {the grandmother|aunt <agent>|the neighbour from number <house>} may {collect|pick up} <child> {after swimming|at half past three|on Wednesdays}.",
        "{Meals|Trips} are paid by {account|standing order from} <iban>, <amount> euro {a month|per term}.",
    ],
    [
        "{The family|Household} moved from <city2> in <year>, {speaks two languages at home|custody is shared by court order|receives the housing allowance}; {review|meeting} on <date2>.",
        "{Medical|Photo} consent {signed|refused} on <date2>, {kept in cabinet <house>|copy with the head teacher|original with the town hall}.",
    ],
]
HR: Grammar = [
    [
        "Personnel file <custno>: <name>, <job>, {site|office} <city>, {hired|joined} <date>.",
        "<name>, born <birth>, {works|is employed} as <job> in {the <city> branch|our <city> warehouse}, {badge|staff number} <custno>.",
    ],
    [
        "{Gross salary|Pay} <salary> euro {a year|yearly}, {paid to|transferred to account} <iban>, {bonus target <house> percent|no bonus agreed|meal vouchers included}.",
        "Annual salary of <salary> euro {since <date2>|after the spring round}, {tax class|pay grade} {two|four|E9}, bank <iban>.",
    ],
    [
        "{Member of the <union> union|Pays dues to the <union> union} {since <year>|through payroll}, {elected to the works council|no office held|strike days recorded}.",
        "{Church tax|Religion on the form}: <religion>; {days off requested for|leave granted for} {Easter Monday|Eid|Yom Kippur|the name day} {every year|in <year>}.",
        "{Sick leave|Absence} of <house> days {in <month>|last winter} {after back surgery|because of burnout|following an accident on the way to work}, {certificate filed|doctor's note missing}.",
    ],
    [
        "Private {mail|address} <email><orphone>, home {at|in} <street> <house>, <city>.",
        "{Reach the employee|Contact} privately at <email><orphone>.",
    ],
    [
        "{Appraisal|Review} by <agent>: {meets expectations|below target twice|ready for a lead role}, {asks for part time|wants to move to <city2>|mentions a conflict with the foreman}.",
        "{Written warning|First warning} issued on <date2> for {late arrival|a lost key card|private use of the van}, {signed under protest|accepted|union informed}.",
    ],
    [
        "{Emergency contact|In an emergency call} {spouse|brother|mother} {of the employee|} through {extension|desk} <house>; {garnishment order of the <city2> court|company car with plate fiction <code>|loan of <amount> euro outstanding} {noted|on file}.",
        "Contract {ends|is renewed} <date2>, {notice three months|probation passed|garden leave possible}, filed by <agent>.",
    ],
]
MAIL: Grammar = [
    [
        "From: <name> <lt><email><gt>\nSubject: {your <product> offer|Thursday|the keys|flat in <city>|wedding list|small favour}\n\n{Dear|Hello|Hi} <agent>,",
        "To: <agent>\nFrom: <name> (<email>)\nDate: <date>\n\n{Good morning|Dear friend|Hello again} <agent>,",
    ],
    [
        "{as you asked|like I said on the phone}, here is {everything you need|what the notary wants}: I was born on <birth>, {we live in|my address is} <street> <house>, <city><callme>.",
        "{we finally moved|the move is over} and {from now on|since <date>} you find us at <street> <house>, <city><callme>.",
    ],
    [
        "{The doctor says|Between us,} it is <diagnosis>, {so I stay home until <month>|and the pills make me sleepy|but please do not tell mother}.",
        "{My brother|My wife} {lost the job|got the papers} {at the mill|in <month>} and {the bank|the court in <city2>} {wants|asks for} <amount> euro {before <date2>|by Friday}.",
        "{I voted for the green list|Our parish|The <union> union} {asked me to help|needs a treasurer}, {so every Sunday is taken|I could not say no}, {can you believe it|imagine that}.",
    ],
    [
        "{Send|Please transfer} the {deposit|<amount> euro} to <iban>, {reference|purpose} {<product>|summer house|keys <code>}.",
        "{Bring|Do not forget} the <product>, {the code of the gate is|alarm code} <code>, {dog is harmless|ring at the back}.",
    ],
    [
        "{Warm regards|See you on <date2>|Kisses}, <given>",
        "{Yours|Many greetings from <city>|Until soon}, <name>",
    ],
]
CONFIG: Grammar = [
    [
        "{Runbook|Handover} note of <name>, {<date>|written <date>}: {staging|production|backup} host {alder|birch|cedar|maple}-<house>.internal.example {moved to|now lives in} {rack|zone} <code>.",
        "# owner <name> <lt><email><gt>, {rotated|last change} <date>\n[{billing|gateway|archive|mailer}]\nhost = {alder|birch|cedar}-<house>.internal.example",
    ],
    [
        "{Log in as|Use the account} {svc|ops}_<slug> with {password|passphrase} <secret>, {never from the guest network|two people needed|VPN first}.",
        "user = svc_<slug>\npassword = <secret>\nretries = <house>",
    ],
    [
        "The {API key|service token} is <apikey>, {valid until|expires} <date2>, {scope read and write|limited to uploads|bound to tenant <custno>}.",
        "api_key = <apikey>\nexpires = <date2>\ntenant = <custno>",
    ],
    [
        "{If it fails|On errors} {call|page} <name> (<email><orphone>), {then restart the queue|then drain node <house>|before touching the database}.",
        "# {questions|trouble} to <email><orphone>, {deputy|backup} <agent>",
    ],
    [
        "{Database|Replica} dsn postgresql://<slug>:<secret2>@db-<house>.internal.example:5432/<slug>db, {dump every night|pool of twenty|TLS required}.",
        "{Webhook|Signing} secret whs_<secret2>, {clock skew five minutes|retry after <house> seconds|shared with <agent>}.",
    ],
]
DE: Grammar = [
    [
        "{Vorgang|Ticket} <ticket>: <name> aus <city> {hat am <date> angerufen|schrieb am <date>|meldete sich am <date> in der Filiale}.",
        "Kundin oder Kunde <name>, geboren am <birth>, Kundennummer <custno>, {Anfrage|Beschwerde} vom <date>.",
    ],
    [
        "{Antwort bitte an|Erreichbar unter} <email><orphone>{, am besten abends|, nicht vor zehn Uhr|}.",
    ],
    [
        "{Das Gerät|Der bestellte Artikel} <product> {lädt nicht mehr|kam beschädigt an|wurde doppelt berechnet}, {Foto liegt bei|der Fahrer bestreitet es|ein Austausch ist gewünscht}.",
        "{Laut Attest|Nach eigener Aussage} {besteht eine Schwerbehinderung|liegt ein Bandscheibenvorfall vor|wird wegen Depression behandelt}, {Termin deshalb verschieben|bitte Rückruf ab Mittag}.",
    ],
    [
        "{Erstattung von|Gutschrift über} <amount> Euro auf <iban>, {Frist|spätestens} <date2>.",
        "{Lieferadresse|Anschrift}: <street> <house>, <city>, {Klingel links|Hinterhaus|bitte beim Nachbarn abgeben}.",
    ],
    [
        "{Bearbeitet von|Zuständig ist} <agent>, {Wiedervorlage|nächster Schritt} am <date2>, {Akte|Ordner} <code>.",
    ],
]
FR: Grammar = [
    [
        "Dossier <ticket> : <name>, {né(e) le <birth>|domicilié(e) à <city>}, {a écrit|a téléphoné|s'est présenté(e) au guichet} le <date>.",
    ],
    ["{Réponse à|Joindre à} <email><orphone>{, de préférence le soir|, jamais au bureau|}."],
    [
        "{Le produit|L'article} <product> {ne s'allume plus|est arrivé cassé|a été facturé deux fois}, {photo jointe|le livreur conteste|échange demandé}.",
        "{Suivi pour|Traitement en cours pour} {un diabète|une dépression|une hernie discale}, {ordonnance renouvelée|arrêt de travail de <house> jours}, {médecin|docteur} <agent>.",
    ],
    [
        "{Adresse de livraison|Domicile} : <house> rue {des Tilleuls|du Moulin|de la Gare}, <city>, {code de la porte|interphone} <code>.",
        "Remboursement de <amount> euros {promis|accordé} avant le <date2>, {référence|commande} <order>.",
    ],
    ["{Traité par|Affaire suivie par} <agent>, {relance prévue|prochain point} le <date2>."],
]
GR: Grammar = [
    [
        "{Αίτημα|Φάκελος} <ticket>: {ο πελάτης|στοιχεία πελάτη} <name>, {γεννημένος|ημερομηνία γέννησης} <birth>, <city>, {τηλεφώνησε|έγραψε|ήρθε στο κατάστημα} στις <date>.",
    ],
    ["{Απάντηση στο|Επικοινωνία μέσω} <email>{, κατά προτίμηση το απόγευμα|, όχι πριν τις δέκα|}."],
    [
        "{Η συσκευή|Το προϊόν} <product> {δεν φορτίζει πια|έφτασε σπασμένο|χρεώθηκε δύο φορές}, {υπάρχει φωτογραφία|ζητείται αντικατάσταση|ο μεταφορέας το αρνείται}.",
        "{Παρακολουθείται για|Σύμφωνα με τον γιατρό έχει} {σακχαρώδη διαβήτη|υπέρταση|κατάθλιψη}, {συνταγή ανανεώθηκε|εξετάσεις ξανά στις <date2>}, {ιατρός|υπογραφή} <agent>.",
    ],
    [
        "{Επιστροφή|Πίστωση} <amount> ευρώ στον λογαριασμό <iban>, {το αργότερο|προθεσμία} <date2>.",
    ],
    [
        "{Χειρίζεται|Υπεύθυνος} <agent>, {επόμενος έλεγχος|υπενθύμιση} <date2>, {θυρίδα|ντουλάπι} <code>."
    ],
]
BG: Grammar = [
    [
        "{Заявка|Преписка} <ticket>: <name>, {роден на|дата на раждане} <birth>, град <city>, {се обади|писа|дойде в офиса} на <date>.",
    ],
    ["{Отговор на|Връзка чрез} <email>{, най-добре вечер|, не преди десет|}."],
    [
        "{Уредът|Артикулът} <product> {не се зарежда|пристигна счупен|е таксуван два пъти}, {има снимка|иска се замяна|куриерът отрича}.",
        "{Лекува се от|По данни на лекаря има} {диабет|хипертония|депресия}, {рецептата е подновена|изследвания отново на <date2>}, {лекар|подпис} <agent>.",
    ],
    ["{Възстановяване на|Кредит от} <amount> лева по сметка <iban>, {срок|най-късно} <date2>."],
    ["{Обработва|Отговорник} <agent>, {следваща проверка|напомняне} <date2>, {шкаф|папка} <code>."],
]
PL: Grammar = [
    [
        "{Zgłoszenie|Sprawa} <ticket>: <name>, {data urodzenia|ur.} <birth>, <city>, {telefon|list|wizyta w oddziale} z dnia <date>.",
    ],
    ["{Odpowiedź na|Kontakt przez} <email>{, najlepiej wieczorem|, nie przed dziesiątą|}."],
    [
        "{Urządzenie|Towar} <product> {nie ładuje się|dotarł uszkodzony|został policzony dwa razy}, {zdjęcie w załączniku|prośba o wymianę|kurier zaprzecza}.",
        "{Leczy się na|Według lekarza ma} {cukrzycę|nadciśnienie|depresję}, {recepta przedłużona|badania ponownie <date2>}, {lekarz|podpis} <agent>.",
    ],
    [
        "{Zwrot|Uznanie} <amount> złotych {na konto klienta|przelewem}, {adres|dom}: ulica {Lipowa|Polna|Ogrodowa} <house>, <city>."
    ],
    ["{Prowadzi|Opiekun} <agent>, {następny krok|przypomnienie} <date2>, {szafa|teczka} <code>."],
]
ES: Grammar = [
    [
        "{Expediente|Caso} <ticket>: <name>, {fecha de nacimiento|nacimiento} <birth>, <city>, {llamó|escribió|vino a la tienda} el <date>.",
    ],
    ["{Responder a|Contacto en} <email>{, mejor por la tarde|, nunca al trabajo|}."],
    [
        "{El aparato|El artículo} <product> {no carga|llegó roto|se cobró dos veces}, {hay foto|pide el cambio|el repartidor lo niega}.",
        "{Sigue tratamiento por|Según el informe padece} {diabetes|hipertensión|depresión}, {receta renovada|nueva analítica el <date2>}, {doctora|firma} <agent>.",
    ],
    [
        "Devolución de <amount> euros, {domicilio|entrega en} calle {del Olmo|de la Fuente|Mayor} <house>, <city>, {portero|clave} <code>."
    ],
    ["{Gestiona|Responsable} <agent>, {próxima revisión|aviso} el <date2>."],
]
IT: Grammar = [
    [
        "{Pratica|Richiesta} <ticket>: <name>, {data di nascita|nascita} <birth>, <city>, {ha telefonato|ha scritto|è venuto allo sportello} il <date>.",
    ],
    ["{Rispondere a|Contatto presso} <email>{, meglio la sera|, mai in ufficio|}."],
    [
        "{L'apparecchio|L'articolo} <product> {non si carica|è arrivato rotto|è stato pagato due volte}, {foto allegata|chiede il cambio|il corriere nega}.",
        "{In cura per|Secondo il medico soffre di} {diabete|ipertensione|depressione}, {ricetta rinnovata|esami di nuovo il <date2>}, {medico|firma} <agent>.",
    ],
    [
        "Rimborso di <amount> euro, {indirizzo|consegna in} via {dei Tigli|Garibaldi|del Mulino} <house>, <city>, {citofono|codice} <code>."
    ],
    ["{Gestito da|Responsabile} <agent>, {prossimo controllo|promemoria} il <date2>."],
]
FI: Grammar = [
    [
        "{Tapaus|Pyyntö} <ticket>: <name>, {syntynyt|syntymäaika} <birth>, <city>, {soitti|kirjoitti|kävi myymälässä} <date>.",
    ],
    ["{Vastaus osoitteeseen|Yhteys} <email>{, mieluiten illalla|, ei ennen kymmentä|}."],
    [
        "{Laite|Tuote} <product> {ei lataudu|saapui rikki|veloitettiin kahdesti}, {kuva liitteenä|pyytää vaihtoa|kuljettaja kiistää}.",
        "{Hoidossa syynä|Lääkärin mukaan} {diabetes|verenpaine|masennus}, {resepti uusittu|kokeet uudelleen <date2>}, {lääkäri|allekirjoitus} <agent>.",
    ],
    ["{Palautus|Hyvitys} <amount> euroa tilille <iban>, {viimeistään|eräpäivä} <date2>."],
    [
        "{Käsittelijä|Vastuuhenkilö} <agent>, {seuraava tarkistus|muistutus} <date2>, {kaappi|kansio} <code>."
    ],
]
GRAMMARS: dict[str, Grammar] = {
    "support_ticket": SUPPORT, "clinic_note": CLINIC, "child_file": CHILD, "hr_file": HR,
    "mail": MAIL, "config_note": CONFIG,
}  # fmt: skip
LOCAL: dict[str, Grammar] = {
    "DE": DE, "FR": FR, "GR": GR, "BG": BG, "PL": PL, "ES": ES, "IT": IT, "FI": FI,
}  # fmt: skip
DIAGNOSES = [
    "type 2 diabetes",
    "major depression",
    "rheumatoid arthritis",
    "hepatitis C",
    "epilepsy",
    "bipolar disorder",
    "breast cancer",
    "multiple sclerosis",
]
JOBS = [
    "forklift driver",
    "payroll clerk",
    "lab assistant",
    "shift supervisor",
    "data engineer",
    "night porter",
    "purchasing officer",
    "machinist",
    "receptionist",
    "safety inspector",
]
PRODUCTS = [
    "Lumen desk lamp",
    "Orrin kettle",
    "Tarn headphones",
    "Vesper vacuum",
    "Halden heater",
    "Pico router",
    "Marlow toaster",
    "Quill tablet",
    "Fjord blender",
    "Brisk bicycle light",
    "Cobalt drill",
    "Nimbus humidifier",
]
STREETS = [
    "Elm Lane",
    "Mill Road",
    "Harbour Street",
    "Quarry Hill",
    "Station Walk",
    "Orchard Close",
    "Tannery Row",
    "Lindenweg",
    "Birkenallee",
    "Am Speicher",
    "Kirchgasse",
]
DRUGS = [
    "metformin",
    "sertraline",
    "methotrexate",
    "valproate",
    "lithium",
    "tamoxifen",
    "ibuprofen",
    "levothyroxine",
]
UNIONS = ["Metal and Wood", "Public Services", "Transport", "Postal", "Hospital Staff"]
RELIGIONS = ["Catholic", "Lutheran", "Orthodox", "Muslim", "Jewish", "none"]
AGENTS = [
    "Corin",
    "Maddox",
    "Ysolde",
    "Perrin",
    "Tansy",
    "Bram",
    "Odile",
    "Fenn",
    "Isaura",
    "Jorun",
    "Kestrel",
    "Lark",
    "Merle",
    "Nye",
    "Rowan",
    "Sorrel",
    "Tamar",
    "Ulric",
    "Vida",
    "Wystan",
]
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
CHILDREN = [
    "Emmi",
    "Otto",
    "Nela",
    "Timo",
    "Lia",
    "Juri",
    "Mila",
    "Pim",
    "Zoe",
    "Rafi",
    "Ida",
    "Leo",
    "Noa",
    "Vik",
]
